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

# The stages in their order: a script that sets up, whether a restart follows it, and a script that tests.
$test = @{ Script = 'Test-Driver.ps1'; Parameter = @{ Package = $Package; Seconds = $Plan.seconds } }
$stages = @(
    @{ Name = 'prepare'; Setup = @{ Script = 'Initialize-TestMachine.ps1'; Parameter = @{ Package = $Package } }; Restart = 'UntilTestSigning' }
    @{ Name = 'install'; Run = @{ Script = 'Install-Driver.ps1'; Parameter = @{ Package = $Package } } }
    @{ Name = 'test'; Run = $test }
)
foreach ($setting in @($Plan.verifier)) {
    $parameter = if ($setting -eq 'Standard') { @{ Mode = 'Standard' } } else { @{ Mode = 'Additional'; RuleClass = $setting } }
    $stages += @{
        Name     = "verifier-$setting"
        Setup    = @{ Script = 'Set-DriverVerifier.ps1'; Parameter = $parameter }
        Restart  = 'Always'
        Run      = $test
        # Where Windows refuses memory to the driver, requests fail. It must not crash: that alone counts.
        Tolerant = $setting -eq 'LowResources'
    }
}

# Runs the script of a part of a stage, if the stage has that part; returns whether nothing failed.
function Invoke-Part {
    [CmdletBinding()]
    [OutputType([bool])]
    param(
        [Parameter(Mandatory)] [hashtable] $Stage,
        [Parameter(Mandatory)] [string] $Part
    )
    if (-not $Stage.ContainsKey($Part)) {
        return $true
    }
    $script = $Stage[$Part]
    $findings = @(Get-ScriptFinding $script.Script $script.Parameter)
    if ($Part -eq 'Run' -and $Stage['Tolerant']) {
        foreach ($finding in $findings | Where-Object { $_.State -eq 'failed' }) {
            $finding.State = 'warning'
        }
    }
    Send-Finding $Stage.Name $findings
}

# The dumps that Windows has written since the run began: one for each crash, also for those that the tests did not see.
function Get-CrashFinding {
    [CmdletBinding()]
    [OutputType([object[]])]
    param([Parameter(Mandatory)] [datetime] $Since)
    $paths = (Join-Path $env:SystemRoot 'Minidump\*.dmp'), (Join-Path $env:SystemRoot 'MEMORY.DMP')
    $dumps = Get-ChildItem -Path $paths -ErrorAction SilentlyContinue | Where-Object { $_.LastWriteTime -gt $Since }
    foreach ($dump in $dumps) {
        ConvertTo-Finding 'Crash' 'failed' "$($dump.FullName), $($dump.LastWriteTime)"
    }
}

# Whether the stage wants a restart between its two parts.
function Test-Restart {
    [CmdletBinding()]
    [OutputType([bool])]
    param([Parameter(Mandatory)] [hashtable] $Stage)
    switch ($Stage['Restart']) {
        'Always' { $true }
        'UntilTestSigning' { -not (Test-TestSigning) }
        default { $false }
    }
}

if (-not $PSCmdlet.ShouldProcess($env:COMPUTERNAME, "run $($stages.Count) stages of tests, restart, shut down")) {
    return
}
$state = Read-State $StateName
if ($null -eq $state -or $state.Run -ne $Plan.run) {
    $begin = (Get-Date).ToString('s')
    $state = [pscustomobject]@{ Run = $Plan.run; Begin = $begin; Stage = 0; Phase = 'setup'; Failed = $false }
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
        $right = Invoke-Part $stage 'Setup'
        $state.Phase = 'ready'
        if (-not $right) {
            $state.Failed = $true
            $state.Stage = $stages.Count
        }
        elseif (Test-Restart $stage) {
            Write-State $StateName $state
            Send-Line "restart $($stage.Name)"
            Restart-Computer -Force
            return
        }
    }
    else {
        $state.Phase = 'running'
        Write-State $StateName $state
        if (-not (Invoke-Part $stage 'Run')) {
            $state.Failed = $true
        }
        $state.Stage++
        $state.Phase = 'setup'
        Write-State $StateName $state
    }
}

if (-not (Send-Finding 'crashes' @(Get-CrashFinding -Since $state.Begin))) {
    $state.Failed = $true
}
Send-Archive
Clear-State $StateName
Send-Line "end $([int] $state.Failed)"
Stop-Computer -Force
