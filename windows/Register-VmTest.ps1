#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Prepares an image of Windows for `cargo xtask vm`, once: a scheduled task runs the tests at each start, if their disk is there.

.DESCRIPTION
The task runs as SYSTEM. Without a disk that has the label CUSTOMDPC it does nothing. It can be run again at any time.

.PARAMETER Undo
Remove the task.

.EXAMPLE
.\Register-VmTest.ps1
#>
[CmdletBinding(SupportsShouldProcess)]
param([switch] $Undo)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

$TaskName = 'customdpc-vm'

# The disk may get its letter a while after the start.
$Command = @'
foreach ($try in 1..30) {
    $volume = Get-Volume -FileSystemLabel 'CUSTOMDPC' -ErrorAction SilentlyContinue | Where-Object { $_.DriveLetter }
    if ($volume) {
        & "$(@($volume)[0].DriveLetter):\scripts\Invoke-VmTest.ps1"
        break
    }
    Start-Sleep -Seconds 2
}
'@

$task = Get-ScheduledTask -TaskName $TaskName -ErrorAction SilentlyContinue
if ($Undo) {
    Write-Plan "This removes the scheduled task $TaskName."
    if ($null -eq $task) {
        return ConvertTo-Finding 'Scheduled task' 'ok' 'is not there'
    }
    if ($PSCmdlet.ShouldProcess($TaskName, 'remove the scheduled task')) {
        Unregister-ScheduledTask -TaskName $TaskName -Confirm:$false
        return ConvertTo-Finding 'Scheduled task' 'changed' 'removed'
    }
    return ConvertTo-Finding 'Scheduled task' 'skipped' 'would be removed'
}

Write-Plan "This registers the scheduled task $TaskName, which runs the tests of a disk with the label CUSTOMDPC at each start. -Undo removes it."
if ($PSCmdlet.ShouldProcess($TaskName, 'register the scheduled task')) {
    $encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($Command))
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument "-NoProfile -ExecutionPolicy Bypass -EncodedCommand $encoded"
    $trigger = New-ScheduledTaskTrigger -AtStartup
    $principal = New-ScheduledTaskPrincipal -UserId 'SYSTEM' -LogonType ServiceAccount -RunLevel Highest
    $settings = New-ScheduledTaskSettingsSet -ExecutionTimeLimit ([timespan]::Zero)
    $null = Register-ScheduledTask -TaskName $TaskName -Action $action -Trigger $trigger -Principal $principal -Settings $settings -Force
    ConvertTo-Finding 'Scheduled task' 'changed' "registered: $TaskName"
}
else {
    ConvertTo-Finding 'Scheduled task' 'skipped' 'would be registered'
}
