import CCodecs
import CKernels
import CZlib
import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a report of a fault should say of the program and of the machine.
public struct RuntimeEnvironment: Sendable, Hashable, Codable {
  /// A C library: the version of its header when this was built, and of what is loaded now.
  public struct Library: Sendable, Hashable, Codable {
    /// The library's name, such as `libpng`.
    public let name: String
    /// The version of the header that this was built with.
    public let header: String
    /// The version that is loaded now.
    public let loaded: String
  }

  /// ModelUtils' own, such as `0.1.0`.
  public let version: String
  /// `git describe` of the checkout that the program was built in, where it still stands there; else empty.
  public let git: String
  /// The day on which the program's file was last changed.
  public let date: String
  /// Of the compiler, such as `6.3`.
  public let swift: String
  /// `release` or `debug`.
  public let build: String
  /// The traits of the package that it was built with.
  public let traits: [String]
  /// The operating system's name and version.
  public let system: String
  /// The kernel's name, release and machine.
  public let kernel: String
  /// The processor's name.
  public let processor: String
  /// The instructions that the kernels use: `avx512`, `avx2`, `neon` or `scalar`.
  public let simd: String
  /// Processors that are online.
  public let cores: Int
  /// How many threads the library uses.
  public let threads: Int
  /// In bytes.
  public let memory: Int
  /// What `selectDevice` chooses where nothing in particular is asked for.
  public let devices: DeviceSelection
  /// The C libraries that decode and inflate.
  public let libraries: [Library]

  /// Asks the machine. It initialises the CUDA driver, as `selectDevice` does.
  public static func current() throws -> RuntimeEnvironment {
    let program = programPath()
    return RuntimeEnvironment(
      version: modelUtilsVersion, git: checkout(of: program).map(gitDescribe) ?? "",
      date: program.flatMap { try? dateModified($0) } ?? "", swift: compiler, build: configuration, traits: traits,
      system: systemName(), kernel: kernelName(), processor: processorName(), simd: String(cString: mk_simd_level()),
      cores: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), threads: Parallel.threadCount,
      memory: sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)), devices: try selectDevice(),
      libraries: [
        Library("libpng", mc_png_version()), Library("libjpeg", mc_jpeg_version()),
        Library(name: "zlib", header: ZLIB_VERSION, loaded: String(cString: zlibVersion())),
      ])
  }

  private static var traits: [String] {
    #if MPI
      ["MPI"]
    #else
      []
    #endif
  }

  private static var configuration: String {
    #if DEBUG
      "debug"
    #else
      "release"
    #endif
  }

  private static var compiler: String {
    #if compiler(>=7)
      "7 or later"
    #elseif compiler(>=6.5)
      "6.5 or later"
    #elseif compiler(>=6.4)
      "6.4"
    #elseif compiler(>=6.3)
      "6.3"
    #elseif compiler(>=6.2)
      "6.2"
    #else
      "6.1"
    #endif
  }

  private static func programPath() -> String? {
    #if canImport(Darwin)
      let path = CommandLine.arguments.first
    #else
      let path: String? = "/proc/self/exe"
    #endif
    guard let path, let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// The folder that SwiftPM built the program in: what stands above `.build`. Elsewhere a work tree of git's would be
  /// someone else's.
  private static func checkout(of program: String?) -> String? {
    guard let folders = program?.split(separator: "/", omittingEmptySubsequences: false),
      let end = folders.lastIndex(where: { $0 == ".build" || $0.hasPrefix(".build-") })
    else { return nil }
    return folders[..<end].joined(separator: "/")
  }
}

extension RuntimeEnvironment.Library {
  fileprivate init(_ name: String, _ version: mc_version) {
    self.init(name: name, header: String(cString: version.header), loaded: String(cString: version.loaded))
  }
}

extension RuntimeEnvironment: CustomStringConvertible {
  /// A line for each, the words of one length.
  public var description: String {
    let origin = git.isEmpty ? date : git
    var lines = [
      ("ModelUtils", "\(version) \(origin) (Swift \(swift), \(([build] + traits).joined(separator: ", ")))"),
      ("system", "\(system), \(kernel)"),
      ("processor", "\(processor), \(cores) cores, kernels for \(simd), \(threads) threads"),
      ("memory", CFormat.string("%.1f GiB", Double(memory) / 0x1p30)),
    ]
    if let reason = devices.reason { lines.append(("device", "CPU: \(reason)")) }
    for device in devices.devices { lines.append(("device", device.description)) }
    if let version = devices.driverVersion {
      lines.append(("driver", "\(version), CUDA \(devices.cudaVersion ?? "unknown")"))
    }
    for library in libraries { lines.append((library.name, "\(library.loaded) (built with \(library.header))")) }
    return lines.map { name, text in name + String(repeating: " ", count: 12 - name.count) + text.printable() }
      .joined(separator: "\n")
  }
}
