import FoundationEssentials

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The system's name and version, such as `Debian GNU/Linux 12 (bookworm)`.
func systemName() -> String {
  #if canImport(Darwin)
    return "macOS \(systemText("kern.osproductversion") ?? "")"
  #else
    let line = lines(of: "/etc/os-release").first { $0.hasPrefix("PRETTY_NAME=") }
    return line.map { $0.dropFirst(12).filter { $0 != "\"" } } ?? "Linux"
  #endif
}

/// `Linux 6.1.0 x86_64`.
func kernelName() -> String {
  var names = utsname()
  guard uname(&names) == 0 else { return "unknown" }
  func text<T>(_ field: T) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
  return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
}

/// The processor's name as it gives it itself.
func processorName() -> String {
  #if canImport(Darwin)
    return systemText("machdep.cpu.brand_string") ?? "unknown"
  #else
    for key in ["model name", "Model", "Hardware"] {
      guard let line = lines(of: "/proc/cpuinfo").first(where: { $0.hasPrefix(key) }),
        let colon = line.firstIndex(of: ":")
      else { continue }
      return String(line[line.index(after: colon)...].drop { $0 == " " })
    }
    return "unknown"
  #endif
}

#if canImport(Darwin)
  private func systemText(_ name: String) -> String? {
    textOfBuffer(256) { buffer in
      var size = 255
      return sysctlbyname(name, buffer, &size, nil, 0) == 0
    }
  }
#else
  private func lines(of path: String) -> [Substring] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    return String(decoding: data, as: UTF8.self).split(separator: "\n")
  }
#endif
