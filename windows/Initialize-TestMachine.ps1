#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Prepares a machine for a test-signed driver, or takes that back.

.DESCRIPTION
Looks first at what is in the way: Secure Boot, BitLocker and memory integrity. Then switches test signing on and installs the
package's certificate. What it changed is noted, and -Undo changes that back and nothing else. It can be run again at any time.

.PARAMETER Package
The folder of the driver package; without it, the folder of the scripts, or the one above.

.PARAMETER SuspendBitLocker
If BitLocker protects the system drive, suspend it for one restart: the change of the boot configuration would ask for the recovery key.

.PARAMETER Undo
Take back what an earlier run changed.

.EXAMPLE
.\Initialize-TestMachine.ps1 -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [string] $Package,
    [switch] $SuspendBitLocker,
    [switch] $Undo
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

$StateName = 'machine'
$Stores = 'Root', 'TrustedPublisher'

# A machine without UEFI has no Secure Boot; the command says so by an exception.
function Get-SecureBoot {
    try {
        if (Confirm-SecureBootUEFI) {
            ConvertTo-Finding 'Secure Boot' 'failed' 'on: it forbids test signing; turn it off in the firmware''s settings'
        }
        else {
            ConvertTo-Finding 'Secure Boot' 'ok' 'off'
        }
    }
    catch [System.PlatformNotSupportedException] {
        ConvertTo-Finding 'Secure Boot' 'ok' 'the firmware has none'
    }
}

function Get-BitLockerVolume {
    $namespace = 'root/cimv2/Security/MicrosoftVolumeEncryption'
    Get-CimInstance -Namespace $namespace -ClassName Win32_EncryptableVolume -ErrorAction SilentlyContinue |
        Where-Object { $_.DriveLetter -eq $env:SystemDrive }
}

function Get-BitLocker {
    $volume = Get-BitLockerVolume
    if ($null -eq $volume -or $volume.ProtectionStatus -ne 1) {
        ConvertTo-Finding 'BitLocker' 'ok' 'does not protect the system drive'
    }
    elseif ($SuspendBitLocker -or (Test-TestSigning)) {
        ConvertTo-Finding 'BitLocker' 'warning' 'protects the system drive'
    }
    else {
        ConvertTo-Finding 'BitLocker' 'failed' 'protects the system drive; -SuspendBitLocker suspends it for one restart'
    }
}

function Get-MemoryIntegrity {
    $guard = Get-CimInstance -Namespace 'root/Microsoft/Windows/DeviceGuard' -ClassName Win32_DeviceGuard -ErrorAction SilentlyContinue
    # 2: hypervisor-protected code integrity.
    if ($null -ne $guard -and $guard.SecurityServicesRunning -contains 2) {
        ConvertTo-Finding 'Memory integrity' 'ok' 'on: the driver is made for it'
    }
    else {
        ConvertTo-Finding 'Memory integrity' 'ok' 'off'
    }
}

function Enable-TestSigning {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory)] [object] $State)
    if (Test-TestSigning) {
        return ConvertTo-Finding 'Test signing' 'ok' 'on'
    }
    if ($PSCmdlet.ShouldProcess('the boot configuration', 'switch test signing on')) {
        $volume = Get-BitLockerVolume
        if ($SuspendBitLocker -and $null -ne $volume -and $volume.ProtectionStatus -eq 1) {
            $null = Invoke-CimMethod -InputObject $volume -MethodName DisableKeyProtectors -Arguments @{ DisableCount = [uint32] 1 }
        }
        $null = Invoke-Program 'bcdedit.exe' '/set', 'testsigning', 'on'
        $State.TestSigning = $true
        return ConvertTo-Finding 'Test signing' 'changed' 'on after a restart'
    }
    ConvertTo-Finding 'Test signing' 'skipped' 'would be switched on'
}

function Install-Certificate {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [string] $Path,
        [Parameter(Mandatory)] [object] $State
    )
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 $Path
    foreach ($store in $Stores) {
        $what = "Certificate in $store"
        $place = "Cert:\LocalMachine\$store"
        if (Test-Path -LiteralPath (Join-Path $place $certificate.Thumbprint)) {
            ConvertTo-Finding $what 'ok' $certificate.Subject
        }
        elseif ($PSCmdlet.ShouldProcess($place, "install $($certificate.Subject)")) {
            $null = Import-Certificate -FilePath $Path -CertStoreLocation $place
            $State.Certificates = @($State.Certificates) + "$store\$($certificate.Thumbprint)"
            ConvertTo-Finding $what 'changed' $certificate.Subject
        }
        else {
            ConvertTo-Finding $what 'skipped' "would be installed: $($certificate.Subject)"
        }
    }
}

function Undo-Change {
    [CmdletBinding(SupportsShouldProcess)]
    param([object] $State)
    if ($null -eq $State) {
        return ConvertTo-Finding 'Undo' 'ok' 'nothing was changed'
    }
    foreach ($name in @($State.Certificates)) {
        $path = "Cert:\LocalMachine\$name"
        if (-not (Test-Path -LiteralPath $path)) {
            ConvertTo-Finding "Certificate $name" 'ok' 'is gone already'
        }
        elseif ($PSCmdlet.ShouldProcess($path, 'remove')) {
            Remove-Item -LiteralPath $path
            ConvertTo-Finding "Certificate $name" 'changed' 'removed'
        }
    }
    if ($State.TestSigning -and $PSCmdlet.ShouldProcess('the boot configuration', 'switch test signing off')) {
        $null = Invoke-Program 'bcdedit.exe' '/set', 'testsigning', 'off'
        ConvertTo-Finding 'Test signing' 'changed' 'off after a restart'
    }
    if (-not $WhatIfPreference) {
        Clear-State $StateName
    }
}

if ($Undo) {
    Write-Plan 'This takes back what an earlier run changed: certificates, and test signing.'
    return Undo-Change -State (Read-State $StateName)
}

$folder = Resolve-Package $Package
$certificateFile = Resolve-Certificate $folder
Write-Plan @(
    'This looks at Secure Boot, BitLocker and memory integrity, then switches test signing on (bcdedit) and installs',
    "$certificateFile in the machine's stores $($Stores -join ' and '). -Undo takes that back."
)
$obstacles = @(Get-SecureBoot; Get-BitLocker; Get-MemoryIntegrity)
$obstacles
if ($obstacles.State -contains 'failed') {
    return ConvertTo-Finding 'Machine' 'failed' 'nothing was changed'
}
$state = Read-State $StateName
if ($null -eq $state) {
    $state = [pscustomobject]@{ TestSigning = $false; Certificates = @() }
}
try {
    Enable-TestSigning -State $state
    Install-Certificate -Path $certificateFile -State $state
}
finally {
    # Also what was done before an error is to be undone.
    if (-not $WhatIfPreference) {
        Write-State $StateName $state
    }
}
