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

/// What the command writes beside results, which see: notes, errors and bars on standard error.
enum Terminal {
  /// Keeps a note until the run has succeeded: a run that fails says one line, why.
  static func note(_ text: String) {
    let subject = Results.subject.map { "\($0.printable()): " } ?? ""
    notes.withLock { $0.append(text.hasPrefix(subject) ? text : subject + text) }
  }

  static func printNotes() {
    let start = Style.yellow.applied(to: "mutils: note:", on: .standardError)
    for text in dropNotes() { write("\(start) \(text)\n", to: .standardError) }
  }

  @discardableResult
  static func dropNotes() -> [String] {
    notes.withLock { notes in
      defer { notes = [] }
      return notes
    }
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
    let text = asJSON ? try? Results.json(Failure(error: error)) : nil
    write((text ?? "\(errorStart) \(error)") + "\n", to: .standardError)
  }

  private static var errorStart: String { Style.red.applied(to: "mutils: error:", on: .standardError) }

  /// What is wrong with the words of the command, and how they go.
  static func usageError(_ message: String, usage: String, asJSON: Bool) {
    struct Failure: Encodable {
      let error: [String: String]
    }
    let advice = usage.split(separator: "\n").last.map { $0.trimmingPrefix { $0 == " " } } ?? ""
    let object = Failure(error: ["kind": "usage", "reason": message, "advice": String(advice)])
    if asJSON, let text = try? Results.json(object) { return writeLine(text) }
    writeLine("\(errorStart) \(message)\n\(usage)")
  }

  static func write(_ text: String, to descriptor: FileDescriptor) {
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
