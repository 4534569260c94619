import FoundationEssentials
import Logging
import ModelUtils
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the command writes: results to standard output, notes and errors to standard error.
enum Terminal {
  static func print(_ text: String) { write(text + "\n", to: .standardOutput) }

  /// Keeps a note until the run has succeeded: a run that fails says one line, why.
  static func note(_ text: String) { notes.withLock { $0.append(text) } }

  static func printNotes() {
    for text in notes.withLock({ $0 }) { write("mutils: note: \(text)\n", to: .standardError) }
  }

  private static let notes = Mutex<[String]>([])

  /// Whether standard error is a terminal that a line can be drawn on again and again.
  static var isTerminal: Bool {
    isatty(STDERR_FILENO) == 1 && getenv("TERM").map { String(cString: $0) } != "dumb"
  }

  /// Whether a person reads standard output as it comes.
  static var printsToTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// How many characters a line of the terminal has.
  static var width: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// On a monotonic clock.
  static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Writes every level to standard error.
  static var logger: Logger {
    var logger = Logger(label: "mutils") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .trace
    return logger
  }

  /// Makes notes of warnings.
  static let notingLogger = Logger(label: "mutils") { _ in NoteLog() }

  private struct NoteLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { Terminal.note("\(event.message)") }
  }

  // MARK: A bar that is drawn again and again

  private static let hasBar = Mutex(false)

  /// Draws a line over the one that was drawn before.
  static func drawBar(_ line: String) {
    hasBar.withLock { $0 = true }
    put("\r\(line)\u{1b}[K", to: .standardError)
  }

  /// Takes the line away, so that something else can stand there.
  static func eraseBar() {
    let wasThere = hasBar.withLock { hasBar in
      defer { hasBar = false }
      return hasBar
    }
    if wasThere { put("\r\u{1b}[K", to: .standardError) }
  }

  static func writeLine(_ text: String) { write(text + "\n", to: .standardError) }

  /// One line on standard error; with `--json` one object there, whose `error` is the `ModelError`.
  static func error(_ error: ModelError, asJSON: Bool = false) {
    struct Failure: Encodable { let error: ModelError }
    let text = asJSON ? try? json(Failure(error: error)) : nil
    write((text ?? "mutils: error: \(error)") + "\n", to: .standardError)
  }

  /// One JSON object on one line, its keys sorted.
  static func print(json value: some Encodable) throws { print(try json(value)) }

  private static func json(_ value: some Encodable) throws(ModelError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do { data = try encoder.encode(value) } catch {
      throw ModelError(.system, "the result cannot be written as JSON: \(error)")
    }
    return String(decoding: data, as: UTF8.self)
  }

  private static func write(_ text: String, to descriptor: FileDescriptor) {
    eraseBar()
    put(text, to: descriptor)
  }

  private static func put(_ text: String, to descriptor: FileDescriptor) {
    do { try descriptor.writeAll(text.utf8) } catch {
      // What is asked for is not told: that is a failure, and nobody can be told of one on standard error.
      guard descriptor == .standardOutput else { return }
      write("mutils: error: standard output cannot be written: \(error)\n", to: .standardError)
      exit(1)
    }
  }
}
