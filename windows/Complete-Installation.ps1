#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
The last step of an unattended installation by `cargo xtask vm`: makes the image one that the tests can run in, and shuts down.

.DESCRIPTION
Registers the scheduled task of Register-VmTest.ps1 and tells the host by the first serial port. autounattend.xml runs it at the first logon.

.EXAMPLE
.\Complete-Installation.ps1
#>
[CmdletBinding(SupportsShouldProcess)]
param()

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

if (-not $PSCmdlet.ShouldProcess($env:COMPUTERNAME, 'register the scheduled task and shut down')) {
    return
}
Send-Line 'begin 1'
Send-Line 'stage installation'
$code = 0
try {
    foreach ($finding in & (Join-Path $PSScriptRoot 'Register-VmTest.ps1')) {
        Send-Line "result $($finding.State) installation: $($finding.What): $($finding.Detail)"
    }
}
catch {
    $code = 1
    Send-Line "result failed installation: $_"
}
Send-Line "end $code"
Stop-Computer -Force
