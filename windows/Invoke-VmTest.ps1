#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Runs all tests in a virtual machine that `cargo xtask vm` has started, over as many restarts as they need, and then shuts down.

.DESCRIPTION
For virtual machines that are thrown away: it prepares the machine, installs the driver, tests it, and tests it again under Driver
Verifier, once for each of the plan's settings. It undoes nothing, because `cargo xtask vm` never keeps what a run writes.

It lies on the disk with the label CUSTOMDPC, beside the package and plan.json. It tells the host what happens by lines on the first
serial port, and sends the logs as an archive through the second.

.EXAMPLE
.\Invoke-VmTest.ps1
#>
[CmdletBinding(SupportsShouldProcess)]
param()

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

$StateName = 'vm'
$Package = Resolve-Package
$Plan = Get-Content -LiteralPath (Join-Path $Package 'plan.json') -Raw | ConvertFrom-Json

# Tells the host of what a script has found; returns whether nothing of it failed.
function Send-Finding {
    [CmdletBinding()]
    [OutputType([bool])]
    param(
        [Parameter(Mandatory)] [string] $Stage,
        [Parameter(Mandatory)] [AllowEmptyCollection()] [object[]] $Finding
    )
    $right = $true
    foreach ($one in $Finding) {
        if ($one.State -eq 'failed') {
            $right = $false
        }
        Send-Line "result $($one.State) ${Stage}: $($one.What): $($one.Detail)"
    }
    $right
}

# A script's findings; an exception is one too.
function Get-ScriptFinding {
    [CmdletBinding()]
    [OutputType([object[]])]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [hashtable] $Parameter = @{}
    )
    try {
        @(& (Join-Path $PSScriptRoot $Name) @Parameter)
    }
    catch {
        ConvertTo-Finding $Name 'failed' "$_"
    }
}

# Packs the logs and sends them; the host gets length and hash apart, to see that all of it has arrived.
function Send-Archive {
    [CmdletBinding()]
    param()
    $logs = @(Get-ScriptFinding 'Save-DriverLog.ps1')
    $null = Send-Finding 'logs' $logs
    $folder = ($logs | Where-Object { $_.What -eq 'Folder' }).Detail
    if (-not $folder) {
        return
    }
    $archive = "$folder.zip"
    Compress-Archive -Path (Join-Path $folder '*') -DestinationPath $archive -Force
    $bytes = [System.IO.File]::ReadAllBytes($archive)
    Send-Byte 'COM2' $bytes
    Send-Line "archive $($bytes.Length) $((Get-FileHash -LiteralPath $archive -Algorithm SHA256).Hash.ToLowerInvariant())"
}

# The stages in their order. A stage whose setup asks for it begins after a restart.
$stages = @(
    @{ Name = 'prepare'; Setup = { Get-ScriptFinding 'Initialize-TestMachine.ps1' @{ Package = $Package } }; Restart = { -not (Test-TestSigning) } }
    @{ Name = 'install'; Run = { Get-ScriptFinding 'Install-Driver.ps1' @{ Package = $Package } } }
    @{ Name = 'test'; Run = { Get-ScriptFinding 'Test-Driver.ps1' @{ Package = $Package; Seconds = $Plan.seconds } } }
)
foreach ($setting in @($Plan.verifier)) {
    $parameter = if ($setting -eq 'Standard') { @{ Mode = 'Standard' } } else { @{ Mode = 'Additional'; RuleClass = $setting } }
    $stages += @{
        Name    = "verifier-$setting"
        Setup   = { Get-ScriptFinding 'Set-DriverVerifier.ps1' $parameter }.GetNewClosure()
        Restart = { $true }
        Run     = { Get-ScriptFinding 'Test-Driver.ps1' @{ Package = $Package; Seconds = $Plan.seconds } }
    }
}

if (-not $PSCmdlet.ShouldProcess($env:COMPUTERNAME, "run $($stages.Count) stages of tests, restart, shut down")) {
    return
}
$state = Read-State $StateName
if ($null -eq $state -or $state.Run -ne $Plan.run) {
    $state = [pscustomobject]@{ Run = $Plan.run; Stage = 0; Phase = 'setup'; Failed = $false }
    Send-Line 'begin 1'
}
elseif ($state.Phase -ne 'running') {
    Send-Line 'resume'
}
else {
    # Only a crash leads here: the stage had begun, and Windows starts anew.
    Send-Line 'resume'
    Send-Line "result failed $($stages[$state.Stage].Name): the system stopped during it"
    $state.Failed = $true
    $state.Stage = $stages.Count
}

while ($state.Stage -lt $stages.Count) {
    $stage = $stages[$state.Stage]
    if ($state.Phase -eq 'setup') {
        Send-Line "stage $($stage.Name)"
        $right = if ($stage.ContainsKey('Setup')) { Send-Finding $stage.Name @(& $stage.Setup) } else { $true }
        $state.Phase = 'ready'
        if (-not $right) {
            $state.Failed = $true
            $state.Stage = $stages.Count
        }
        elseif ($stage.ContainsKey('Restart') -and (& $stage.Restart)) {
            Write-State $StateName $state
            Send-Line "restart $($stage.Name)"
            Restart-Computer -Force
            return
        }
    }
    else {
        $state.Phase = 'running'
        Write-State $StateName $state
        if ($stage.ContainsKey('Run') -and -not (Send-Finding $stage.Name @(& $stage.Run))) {
            $state.Failed = $true
        }
        $state.Stage++
        $state.Phase = 'setup'
        Write-State $StateName $state
    }
}

Send-Archive
Clear-State $StateName
Send-Line "end $([int] $state.Failed)"
Stop-Computer -Force
