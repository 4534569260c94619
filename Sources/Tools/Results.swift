import FoundationEssentials
import ModelUtils
import Synchronization
import SystemPackage

/// What a subcommand was asked for. It goes to standard output; to standard error where a model goes there.
enum Results {
  private struct State {
    var stream = FileDescriptor.standardOutput
    var subject: String?
    var isDryRun = false
    var gathered: [String]?
  }

  private static let state = Mutex(State())

  /// Which of several models results are of.
  static var subject: String? {
    get { state.withLock { $0.subject } }
    set { state.withLock { $0.subject = newValue } }
  }

  /// Leaves standard output to a model.
  static func leaveStandardOutput() { state.withLock { $0.stream = .standardError } }

  /// Lets every JSON object say that nothing was written.
  static func markDryRun() { state.withLock { $0.isDryRun = true } }

  static func print(_ text: String) { Terminal.write(text + "\n", to: state.withLock { $0.stream }) }

  /// One JSON object on one line, its keys sorted; or one of those that are gathered.
  static func print(json value: some Encodable) throws {
    let (subject, isDryRun) = state.withLock { ($0.subject, $0.isDryRun) }
    let text = try json(Entry(value: value, model: subject, isDryRun: isDryRun))
    let isGathered = state.withLock { state in
      state.gathered?.append(text)
      return state.gathered != nil
    }
    if !isGathered { print(text) }
  }

  /// Keeps what comes for one object.
  static func gather() { state.withLock { $0.gathered = [] } }

  /// - Parameter key: of the list of what was gathered.
  static func printGathered(as key: String) {
    let texts = state.withLock { state in
      defer { state.gathered = nil }
      return state.gathered ?? []
    }
    print("{\"\(key)\":[\(texts.joined(separator: ","))]}")
  }

  static func json(_ value: some Encodable) throws(ModelError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do { data = try encoder.encode(value) } catch {
      throw ModelError(.system, "the result cannot be written as JSON: \(error)")
    }
    return String(decoding: data, as: UTF8.self)
  }

  /// A result with what is said beside it.
  private struct Entry<Value: Encodable>: Encodable {
    let value: Value
    let model: String?
    let isDryRun: Bool

    func encode(to encoder: any Encoder) throws {
      try value.encode(to: encoder)
      guard model != nil || isDryRun else { return }
      var container = encoder.container(keyedBy: EntryKey.self)
      try container.encodeIfPresent(model, forKey: .model)
      if isDryRun { try container.encode(true, forKey: .dryRun) }
    }
  }

  private enum EntryKey: String, CodingKey { case model, dryRun }
}
