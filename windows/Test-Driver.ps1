#Requires -Version 5.1
#Requires -RunAsAdministrator

<#
.SYNOPSIS
Runs eductl's tests on the installed driver.

.DESCRIPTION
Runs `eductl info` and `eductl selftest`, then `eductl stress` if this eductl has it, otherwise the selftest again and again beside
other requests. Looks at the driver's counters and at the devices last. It overwrites the device's buffer and changes nothing else.

.PARAMETER Package
The folder with eductl.exe; without it, the folder of the scripts, or the one above.

.PARAMETER Seconds
How long to stress the driver.

.PARAMETER Device
Which device, counted from 0, when there are several.

.EXAMPLE
.\Test-Driver.ps1 -Seconds 600
#>
[CmdletBinding()]
param(
    [string] $Package,
    [ValidateRange(1, 86400)] [int] $Seconds = 60,
    [ValidateRange(0, 1000)] [int] $Device = 0
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot 'Customdpc.psm1') -Force

$Eductl = Join-Path (Resolve-Package $Package) 'eductl.exe'

# Runs eductl with --json. Its document comes with the exit code: 0, 1 for a failed request, 2 when nothing was sent.
function Invoke-Eductl {
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param([Parameter(Mandatory)] [string[]] $Argument)
    $ErrorActionPreference = 'Continue'
    $text = @(& $Eductl --json --device $Device @Argument 2>&1 | ForEach-Object { "$_" }) -join "`n"
    $code = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    $document = $null
    if ($text.TrimStart().StartsWith('{')) {
        $document = ConvertFrom-Json $text
    }
    [pscustomobject]@{ ExitCode = $code; Document = $document; Text = $text }
}

# What went wrong, in one line.
function Get-Complaint {
    [CmdletBinding()]
    [OutputType([string])]
    param([Parameter(Mandatory)] [object] $Run)
    if ($null -ne $Run.Document -and $Run.Document.PSObject.Properties.Name -contains 'error') {
        return $Run.Document.error.message
    }
    "exit code $($Run.ExitCode): $($Run.Text)"
}

function Get-SelftestFinding {
    [CmdletBinding()]
    param()
    $run = Invoke-Eductl 'selftest'
    if ($null -eq $run.Document -or $run.Document.PSObject.Properties.Name -notcontains 'checks') {
        return ConvertTo-Finding 'selftest' 'failed' (Get-Complaint $run)
    }
    foreach ($check in $run.Document.checks) {
        if ($check.result -eq 'ok') {
            ConvertTo-Finding "selftest: $($check.name)" 'ok'
        }
        elseif ($check.result -eq 'skipped') {
            ConvertTo-Finding "selftest: $($check.name)" 'skipped'
        }
        else {
            ConvertTo-Finding "selftest: $($check.name)" 'failed' $check.error.message
        }
    }
    if ($run.Document.PSObject.Properties.Name -contains 'others') {
        ConvertTo-Finding 'selftest' 'warning' 'others used the device meanwhile'
    }
}

# Requests of every kind from several programs at once.
function Invoke-Load {
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param([Parameter(Mandatory)] [int] $Duration)
    $numbers = @(0..200 | ForEach-Object { "$_" })
    $load = @(
        , (@('--device', "$Device", 'factorial') + $numbers)
        , @('--device', "$Device", 'raise', '0x20')
        , @('--device', "$Device", 'read', '--length', '512')
        , @('--device', "$Device", 'liveness')
    )
    $end = (Get-Date).AddSeconds($Duration)
    $started = 0
    $failed = 0
    do {
        $running = foreach ($arguments in $load) {
            # Without the window of its own it has no output that somebody must read.
            Start-Process -FilePath $Eductl -ArgumentList $arguments -WindowStyle Hidden -PassThru
        }
        foreach ($process in $running) {
            $started++
            # The handle is kept by reading it: without it, the exit code of a program that has ended is not known.
            $null = $process.Handle
            if (-not $process.WaitForExit(60000)) {
                $process.Kill()
                $failed++
            }
            elseif ($process.ExitCode -ne 0) {
                $failed++
            }
        }
    } while ((Get-Date) -lt $end)
    [pscustomobject]@{ Started = $started; Failed = $failed }
}

function Get-StressFinding {
    [CmdletBinding()]
    param()
    $help = Invoke-Eductl 'stress', '--help'
    if ($help.ExitCode -eq 0) {
        $run = Invoke-Eductl 'stress', '--seconds', "$Seconds"
        if ($run.ExitCode -eq 0) {
            return ConvertTo-Finding 'stress' 'ok' "$Seconds seconds"
        }
        return ConvertTo-Finding 'stress' 'failed' (Get-Complaint $run)
    }
    $load = Invoke-Load $Seconds
    $state = if ($load.Failed -eq 0) { 'ok' } else { 'failed' }
    ConvertTo-Finding 'load' $state "$($load.Started) runs of eductl in $Seconds seconds, $($load.Failed) failed"
}

# A timeout is no failure: the driver begins the piece of work again. On a device without faults there is none.
function Get-CounterFinding {
    [CmdletBinding()]
    param()
    $run = Invoke-Eductl 'stats'
    if ($run.ExitCode -eq 0) {
        ConvertTo-Finding 'counters' 'ok' 'eductl stats shows them'
    }
    else {
        ConvertTo-Finding 'counters' 'failed' (Get-Complaint $run)
    }
}

Write-Plan "This tests the driver for about $Seconds seconds with $Eductl. It overwrites the device's buffer."
$info = Invoke-Eductl 'info'
if ($info.ExitCode -ne 0) {
    return ConvertTo-Finding 'info' 'failed' (Get-Complaint $info)
}
ConvertTo-Finding 'info' 'ok' "driver $($info.Document.driver_version), edu revision $($info.Document.revision)"
Get-SelftestFinding
Get-StressFinding
Get-SelftestFinding
Get-CounterFinding
foreach ($present in Get-EduDevice) {
    $state = if ($present.Problem -eq 0) { 'ok' } else { 'failed' }
    ConvertTo-Finding $present.InstanceId $state "problem code $($present.Problem)"
}
