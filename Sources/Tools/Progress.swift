import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A bar on standard error that grows as steps are done, on a terminal alone.
final class Progress: Sendable {
  private let count: Int
  private let isShown: Bool
  private let done = Mutex(0)
  private static let width = 30

  init(of count: Int, isShown: Bool) {
    self.count = count
    self.isShown = isShown && count > 0 && isatty(STDERR_FILENO) == 1
  }

  /// Any thread may say that a step is done.
  func step() {
    guard isShown else { return }
    done.withLock { done in
      done += 1
      let filled = Self.width * done / count
      let bar = String(repeating: "#", count: filled) + String(repeating: " ", count: Self.width - filled)
      write("\r[\(bar)] \(done)/\(count)")
    }
  }

  /// Clears the line.
  func finish() {
    if isShown { write("\r\u{1b}[K") }
  }

  private func write(_ text: String) { _ = try? FileDescriptor.standardError.writeAll(text.utf8) }
}
