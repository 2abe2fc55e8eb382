#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Installs the driver package with pnputil, or removes it.

.DESCRIPTION
Puts the package into the driver store and has Windows install it on the edu devices that are there. With -Remove, takes every version of
the package from the devices and from the driver store. It can be run again at any time.

.PARAMETER Package
The folder of the driver package; without it, the folder of the scripts, or the one above.

.PARAMETER Remove
Remove the driver.

.EXAMPLE
.\Install-Driver.ps1 -Package C:\customdpc
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [string] $Package,
    [switch] $Remove
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

# What pnputil's exit code says; those of Win32.
function Get-PnpUtilFinding {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $What,
        [Parameter(Mandatory)] [int] $ExitCode
    )
    switch ($ExitCode) {
        0 { ConvertTo-Finding $What 'changed' }
        259 { ConvertTo-Finding $What 'ok' 'no device needs it: there is none, or it has this driver already' }
        3010 { ConvertTo-Finding $What 'warning' 'a restart completes it' }
    }
}

# How each device is; none is a warning, because the package waits in the driver store for one.
function Get-DeviceFinding {
    [CmdletBinding()]
    param()
    $devices = @(Get-EduDevice)
    if ($devices.Count -eq 0) {
        return ConvertTo-Finding 'Device' 'warning' 'there is no edu device'
    }
    foreach ($device in $devices) {
        if ($device.Problem -eq 0 -and $device.Service -eq 'customdpc') {
            ConvertTo-Finding $device.InstanceId 'ok' 'started'
        }
        elseif ($device.Problem -eq 0) {
            ConvertTo-Finding $device.InstanceId 'warning' "served by '$($device.Service)'"
        }
        else {
            ConvertTo-Finding $device.InstanceId 'failed' "problem code $($device.Problem)"
        }
    }
}

# Windows looks at the signatures again; this says beforehand what is wrong with them.
function Get-SignatureFinding {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Folder)
    foreach ($name in 'customdpc.sys', 'customdpc.cat') {
        $signature = Get-AuthenticodeSignature -LiteralPath (Join-Path $Folder $name)
        if ($signature.Status -eq 'Valid') {
            ConvertTo-Finding "Signature of $name" 'ok' $signature.SignerCertificate.Subject
        }
        else {
            ConvertTo-Finding "Signature of $name" 'warning' $signature.StatusMessage
        }
    }
}

if ($Remove) {
    $names = @(Get-InstalledInf)
    Write-Plan "This removes the driver from its devices and from the driver store: $($names -join ', ')"
    if ($names.Count -eq 0) {
        return ConvertTo-Finding 'Driver store' 'ok' 'the package is not in it'
    }
    foreach ($name in $names) {
        if ($PSCmdlet.ShouldProcess($name, 'pnputil /delete-driver /uninstall')) {
            $done = Invoke-Program 'pnputil.exe' '/delete-driver', $name, '/uninstall' -Accept 0, 3010
            Get-PnpUtilFinding "Removal of $name" $done.ExitCode
        }
    }
    return
}

$folder = Resolve-Package $Package
Write-Plan "This puts the package in $folder into the driver store and installs it on its devices (pnputil). -Remove takes that back."
Get-SignatureFinding $folder
$inf = Join-Path $folder $PackageInf
if ($PSCmdlet.ShouldProcess($inf, 'pnputil /add-driver /install')) {
    $done = Invoke-Program 'pnputil.exe' '/add-driver', $inf, '/install' -Accept 0, 259, 3010
    Get-PnpUtilFinding 'Installation' $done.ExitCode
}
Get-DeviceFinding
