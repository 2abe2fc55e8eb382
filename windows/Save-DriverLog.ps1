#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Collects what tells about the driver: setupapi.dev.log, event logs, crash dumps, the state of Driver Verifier and of the device.

.DESCRIPTION
Writes into a new folder below -Destination, and changes nothing else. To undo it, delete that folder.

.PARAMETER Destination
Where to put the new folder; without it, ProgramData\customdpc\logs.

.PARAMETER WithMemoryDump
Take MEMORY.DMP too, which may have the size of the machine's memory, and what was in it.

.EXAMPLE
.\Save-DriverLog.ps1 -Destination C:\logs
#>
[CmdletBinding()]
param(
    [string] $Destination,
    [switch] $WithMemoryDump
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

if (-not $Destination) {
    $Destination = Join-Path $env:ProgramData 'customdpc\logs'
}
$folder = Join-Path $Destination (Get-Date -Format 'yyyyMMdd-HHmmss')
Write-Plan "This collects logs in $folder and changes nothing else."
$null = New-Item -ItemType Directory -Path $folder -Force

# Copies the files that are there.
function Copy-Log {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $What,
        [Parameter(Mandatory)] [string] $Path
    )
    $files = @(Get-ChildItem -Path $Path -File -ErrorAction SilentlyContinue)
    if ($files.Count -eq 0) {
        return ConvertTo-Finding $What 'skipped' 'there is none'
    }
    foreach ($file in $files) {
        Copy-Item -LiteralPath $file.FullName -Destination $folder -Force
        ConvertTo-Finding $What 'ok' "$($file.Name), $($file.Length) bytes"
    }
}

# Exports an event log.
function Export-EventLog {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Log,
        [Parameter(Mandatory)] [string] $File
    )
    try {
        $null = Invoke-Program 'wevtutil.exe' 'epl', $Log, (Join-Path $folder $File), '/overwrite:true'
        ConvertTo-Finding "Event log $Log" 'ok' $File
    }
    catch {
        ConvertTo-Finding "Event log $Log" 'warning' "$_"
    }
}

# Keeps what a program prints.
function Save-Output {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $File,
        [Parameter(Mandatory)] [string] $Program,
        [Parameter(Mandatory)] [string[]] $Argument,
        [int[]] $Accept = @(0)
    )
    try {
        $done = Invoke-Program $Program $Argument -Accept $Accept
        Set-Content -LiteralPath (Join-Path $folder $File) -Value $done.Output -Encoding UTF8
        ConvertTo-Finding "$Program $($Argument -join ' ')" 'ok' $File
    }
    catch {
        ConvertTo-Finding "$Program $($Argument -join ' ')" 'warning' "$_"
    }
}

$windows = $env:SystemRoot
Copy-Log 'Installation log' (Join-Path $windows 'INF\setupapi.dev.log')
Copy-Log 'Small dumps' (Join-Path $windows 'Minidump\*.dmp')
if ($WithMemoryDump) {
    Copy-Log 'Memory dump' (Join-Path $windows 'MEMORY.DMP')
}
Export-EventLog 'System' 'System.evtx'
Export-EventLog 'Microsoft-Windows-CodeIntegrity/Operational' 'CodeIntegrity.evtx'
Export-EventLog 'Microsoft-Windows-Kernel-PnP/Configuration' 'KernelPnP.evtx'
Save-Output 'drivers.txt' 'pnputil.exe' '/enum-drivers'
Save-Output 'problems.txt' 'pnputil.exe' '/enum-devices', '/problem' -Accept 0, 259
Save-Output 'verifier-settings.txt' 'verifier.exe' '/querysettings' -Accept 0, 2
Save-Output 'verifier.txt' 'verifier.exe' '/query' -Accept 0, 2
Save-Output 'boot.txt' 'bcdedit.exe' '/enum', '{current}'
$devices = @(Get-EduDevice)
ConvertTo-Json -InputObject $devices -Depth 3 | Set-Content -LiteralPath (Join-Path $folder 'devices.json') -Encoding UTF8
ConvertTo-Finding 'Devices' 'ok' "devices.json, $($devices.Count)"
ConvertTo-Finding 'Folder' 'ok' $folder
