# What the scripts have in common. They are written for Windows PowerShell 5.1, which every Windows 10 and 11 has.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# The driver, its package, and the device that it is for.
$DriverFile = 'customdpc.sys'
$PackageInf = 'customdpc.inf'
$DeviceIdStart = 'PCI\VEN_1234&DEV_11E8'

# What the scripts remember from one run to the next, to undo no more than they did.
$StateDirectory = Join-Path $env:ProgramData 'customdpc'

# One line of the table that a script ends with.
function ConvertTo-Finding {
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        [Parameter(Mandatory)] [string] $What,
        [Parameter(Mandatory)] [ValidateSet('ok', 'changed', 'skipped', 'warning', 'failed')] [string] $State,
        [string] $Detail = ''
    )
    [pscustomobject]@{ What = $What; State = $State; Detail = $Detail }
}

# Says what a script is about to do.
function Write-Plan {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string[]] $Line)
    foreach ($text in $Line) {
        Write-Information -MessageData $text -InformationAction Continue
    }
}

# Runs a program of Windows and returns the lines that it printed. Another exit code than those accepted is an error with these lines.
function Invoke-Program {
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [string[]] $Argument = @(),
        [int[]] $Accept = @(0)
    )
    # The folder is named, so that no other program of that name is started.
    $path = Join-Path (Join-Path $env:SystemRoot 'System32') $Name
    # What a program writes to its standard error would be an exception of PowerShell's.
    $ErrorActionPreference = 'Continue'
    $output = @(& $path @Argument 2>&1 | ForEach-Object { "$_" })
    $code = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    if ($Accept -notcontains $code) {
        throw "$Name $($Argument -join ' ') failed with exit code ${code}: $($output -join ' ')"
    }
    [pscustomobject]@{ ExitCode = $code; Output = $output }
}

# The folder of the driver package: the one given, or the one that the scripts lie in, or the one above.
function Resolve-Package {
    [CmdletBinding()]
    [OutputType([string])]
    param([string] $Path)
    $candidates = if ($Path) { @($Path) } else { @($PSScriptRoot, (Split-Path -Parent $PSScriptRoot)) }
    foreach ($candidate in $candidates) {
        if (Test-Path -LiteralPath (Join-Path $candidate $PackageInf) -PathType Leaf) {
            return (Resolve-Path -LiteralPath $candidate).ProviderPath
        }
    }
    throw "There is no $PackageInf in $($candidates -join ' or '); name the package's folder with -Package."
}

# The file of the package's certificate: that of `cargo xtask package`, or that of `cargo make`.
function Resolve-Certificate {
    [CmdletBinding()]
    [OutputType([string])]
    param([Parameter(Mandatory)] [string] $Package)
    foreach ($name in 'customdpc.cer', 'WDRLocalTestCert.cer') {
        $path = Join-Path $Package $name
        if (Test-Path -LiteralPath $path -PathType Leaf) {
            return $path
        }
    }
    throw "There is no certificate in $Package."
}

# The edu devices that are present, with the problem code of each: 0 is none.
function Get-EduDevice {
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param()
    # In WQL a backslash is written twice, and an underscore in brackets.
    $pattern = $DeviceIdStart.Replace('\', '\\').Replace('_', '[_]') + '%'
    Get-CimInstance -ClassName Win32_PnPEntity -Filter "DeviceID LIKE '$pattern'" |
        Where-Object { $_.Present } |
        ForEach-Object {
            [pscustomobject]@{
                InstanceId = $_.DeviceID
                Problem    = [int] $_.ConfigManagerErrorCode
                Service    = $_.Service
            }
        }
}

# The names that the package has in the driver store, such as oem12.inf. The files are read, because what pnputil prints is translated.
function Get-InstalledInf {
    [CmdletBinding()]
    [OutputType([string])]
    param()
    $files = Get-ChildItem -Path (Join-Path $env:SystemRoot 'INF\oem*.inf')
    foreach ($file in $files) {
        if (Select-String -LiteralPath $file.FullName -Pattern ([regex]::Escape($DriverFile)) -Quiet) {
            $file.Name
        }
    }
}

# Whether Windows was started with test signing on. The option counts from the next start, this tells of the last one.
function Test-TestSigning {
    [CmdletBinding()]
    [OutputType([bool])]
    param()
    $control = Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control'
    "$($control.SystemStartOptions)" -match '\bTESTSIGNING\b'
}

# What a script noted in an earlier run; nothing if there was none.
function Read-State {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    $path = Join-Path $StateDirectory "$Name.json"
    if (Test-Path -LiteralPath $path -PathType Leaf) {
        Get-Content -LiteralPath $path -Raw | ConvertFrom-Json
    }
}

# Notes something for a later run.
function Write-State {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [object] $Value
    )
    $null = New-Item -ItemType Directory -Path $StateDirectory -Force
    $json = ConvertTo-Json -InputObject $Value -Depth 4
    Set-Content -LiteralPath (Join-Path $StateDirectory "$Name.json") -Value $json -Encoding UTF8
}

# Forgets what a script noted.
function Clear-State {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Name)
    $path = Join-Path $StateDirectory "$Name.json"
    if (Test-Path -LiteralPath $path) {
        Remove-Item -LiteralPath $path
    }
}

# Sends bytes through a serial port.
function Send-Byte {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Port,
        [Parameter(Mandatory)] [byte[]] $Byte
    )
    $serial = New-Object System.IO.Ports.SerialPort $Port, 115200
    try {
        $serial.Open()
        $serial.Write($Byte, 0, $Byte.Length)
        while ($serial.BytesToWrite -gt 0) {
            Start-Sleep -Milliseconds 10
        }
    }
    finally {
        $serial.Dispose()
    }
}

# Tells the host of a virtual machine something. A line is one statement, in ASCII.
function Send-Line {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Text)
    $ascii = ($Text -replace '[^\x20-\x7E]+', ' ').Trim()
    Send-Byte 'COM1' ([System.Text.Encoding]::ASCII.GetBytes("customdpc-vm $ascii`n"))
}

Export-ModuleMember -Variable DriverFile, PackageInf, DeviceIdStart -Function ConvertTo-Finding, Write-Plan, Invoke-Program,
    Resolve-Package, Resolve-Certificate, Get-EduDevice, Get-InstalledInf, Test-TestSigning, Read-State, Write-State, Clear-State,
    Send-Byte, Send-Line
