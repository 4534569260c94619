import FoundationEssentials
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

  /// A count on one line, on a terminal only; it is wiped when all is done.
  static func progress(_ done: Int, of total: Int, isShown: Bool) {
    guard isShown, total > 1, isatty(2) != 0 else { return }
    write(done < total ? "\r\(done)/\(total)" : "\r\u{1b}[K", to: .standardError)
  }

  static func error(_ text: String) { write("mutils: error: \(text)\n", to: .standardError) }

  /// One JSON object on one line, its keys sorted.
  static func print(json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do { data = try encoder.encode(value) } catch { throw ModelError("the result cannot be written as JSON: \(error)") }
    print(String(decoding: data, as: UTF8.self))
  }

  private static func write(_ text: String, to descriptor: FileDescriptor) {
    _ = try? descriptor.writeAll(text.utf8)
  }
}
