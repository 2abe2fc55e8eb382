#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Turns Driver Verifier on for customdpc.sys, or off, and shows its state.

.DESCRIPTION
Changes take effect after a restart. If the system does not start, Driver Verifier is off at the next try. Settings for other drivers
are left alone: while there are some, nothing is changed. It can be run again at any time.

.PARAMETER Mode
Show: only show the state. Standard: the standard settings. Additional: one of the additional rule classes, with the standard ones that it
needs. Off: no verification.

.PARAMETER RuleClass
With Additional, which one: LowResources (3), ForcePending (10), IrpLogging (11), InvariantMdlStack (14), InvariantMdlDriver (15),
DdiAdditional (20), DelayFuzzing (24), CodeIntegrity (26), Isolation (33).

.EXAMPLE
.\Set-DriverVerifier.ps1 -Mode Additional -RuleClass ForcePending
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidateSet('Show', 'Standard', 'Additional', 'Off')] [string] $Mode = 'Show',
    [ValidateSet('LowResources', 'ForcePending', 'IrpLogging', 'InvariantMdlStack', 'InvariantMdlDriver', 'DdiAdditional',
        'DelayFuzzing', 'CodeIntegrity', 'Isolation')] [string] $RuleClass
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

# The numbers of the rule classes, with those that each needs: "Driver Verifier Command Syntax" in the documentation of the WDK.
$RuleClasses = @{
    LowResources       = '3'
    ForcePending       = '5', '10'
    IrpLogging         = '5', '11'
    InvariantMdlStack  = '5', '14'
    InvariantMdlDriver = '5', '15'
    DdiAdditional      = '20'
    DelayFuzzing       = '24'
    CodeIntegrity      = '26'
    Isolation          = '36', '33'
}

# verifier.exe: 0 is done, 2 is done after a restart.
$Done = 0, 2

# What counts from the next start on. What verifier.exe prints is translated; the registry is not.
function Get-VerifierState {
    [CmdletBinding()]
    param()
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management'
    $values = Get-ItemProperty -LiteralPath $key
    $names = $values.PSObject.Properties.Name
    [pscustomobject]@{
        Drivers = @(if ($names -contains 'VerifyDrivers') { "$($values.VerifyDrivers)" -split '\s+' | Where-Object { $_ } })
        Level   = if ($names -contains 'VerifyDriverLevel') { '0x{0:X}' -f $values.VerifyDriverLevel } else { 'none' }
    }
}

function Get-VerifierFinding {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $State)
    $now = Get-VerifierState
    $drivers = if ($now.Drivers.Count -gt 0) { $now.Drivers -join ', ' } else { 'none' }
    ConvertTo-Finding 'Drivers to be verified' $State $drivers
    ConvertTo-Finding 'Settings' $State "level $($now.Level)"
    foreach ($line in (Invoke-Program 'verifier.exe' '/querysettings' -Accept $Done).Output | Where-Object { $_.Trim() }) {
        ConvertTo-Finding 'verifier /querysettings' 'ok' $line.Trim()
    }
}

if ($Mode -eq 'Show') {
    Write-Plan 'This shows what Driver Verifier does from the next start on. It changes nothing.'
    return Get-VerifierFinding 'ok'
}
if ($Mode -eq 'Additional' -and -not $RuleClass) {
    throw 'Name a rule class with -RuleClass.'
}

$others = @((Get-VerifierState).Drivers | Where-Object { $_ -ne $DriverFile })
if ($others.Count -gt 0) {
    return ConvertTo-Finding 'Driver Verifier' 'failed' "is set for other drivers, nothing was changed: $($others -join ', ')"
}

$commands = switch ($Mode) {
    'Standard' { , @('/standard', '/driver', $DriverFile) }
    'Additional' { , (@('/ruleclasses') + $RuleClasses[$RuleClass] + @('/driver', $DriverFile)) }
    'Off' { , @('/reset') }
}
Write-Plan "This runs verifier $($commands -join ' '). It takes effect after a restart; -Mode Off takes it back."
if ($PSCmdlet.ShouldProcess($DriverFile, "verifier $($commands -join ' ')")) {
    $null = Invoke-Program 'verifier.exe' $commands -Accept $Done
    $bootMode = if ($Mode -eq 'Off') { 'persistent' } else { 'resetonbootfail' }
    $null = Invoke-Program 'verifier.exe' '/bootmode', $bootMode -Accept $Done
    Get-VerifierFinding 'changed'
}
