import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Colours of words on a terminal.
enum Style: Int {
  case red = 31
  case green, yellow

  /// The text in this colour where it goes to a terminal and its user has not said `NO_COLOR`.
  func applied(to text: String, on stream: FileDescriptor) -> String {
    guard isatty(stream.rawValue) == 1, !Self.isSet("NO_COLOR"), Self.variable("TERM") != "dumb" else { return text }
    return "\u{1b}[\(rawValue)m\(text)\u{1b}[0m"
  }

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  private static func isSet(_ name: String) -> Bool { variable(name)?.isEmpty == false }
}
