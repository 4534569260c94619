import ModelCore
import SystemPackage

/// What the pickles of a file would make Python import and call, found without doing so.
///
/// Everything that a pickle names counts, also what it throws away again or names before an error stops it, in every
/// member of a zip archive, and behind the end of the first pickle. The verdict is by name: a file is dangerous when
/// something in it is known to run commands or code, suspicious when it names code that is not known here. A method
/// looked up on an object of the file itself, as YOLO's fused models hold `forward_fuse`, is neither.
public struct PickleAudit: Sendable, Codable {
  /// One thing that a pickle does or names.
  public struct Finding: Sendable, Codable, Hashable {
    /// How much harm it can do.
    public let verdict: PickleVerdict
    /// The member of the archive, or empty.
    public let place: String
    /// What it is, in words.
    public let what: String
  }

  /// The most serious first.
  public private(set) var findings: [Finding] = []
  /// How many pickles were found.
  public private(set) var pickles = 0

  /// The most serious finding's verdict.
  public var verdict: PickleVerdict { findings.map(\.verdict).max() ?? .safe }

  /// Audits a file; one that holds no pickle (safetensors) has no findings.
  /// - Throws: `ModelError` when it cannot be opened, or is a zip archive that is inconsistent.
  public init(contentsOf location: some FileLocation) throws { try self.init(try FileBytes(mapping: location)) }

  /// Audits bytes that are in memory or mapped.
  public init(_ file: FileBytes) throws {
    if SafeTensors.recognizesIndex(file) || SafeTensors.recognizes(file) { return }
    if ZipArchive.recognizes(file) {
      do { try auditArchive(try ZipArchive(file)) } catch let error as ModelError { throw error.inFile(file.name) }
    } else {
      auditSequence(file)
    }
    findings.sort { ($1.verdict, $0.place, $0.what) < ($0.verdict, $1.place, $1.what) }
  }

  private mutating func add(_ verdict: PickleVerdict, _ place: String, _ what: String) {
    let finding = Finding(verdict: verdict, place: place, what: what)
    if !findings.contains(finding) { findings.append(finding) }
  }

  /// The pickles that PyTorch writes, the last two for TorchScript.
  private static let plainNames = ["data.pkl", "constants.pkl", "traced_inputs.pkl"]

  private mutating func auditArchive(_ archive: ZipArchive) throws {
    let top = archive.members.keys.first { $0.hasSuffix("/data.pkl") }.map { String($0.dropLast("data.pkl".count)) }
    for member in archive.members.values where member.size > 0 {
      let data = try archive.data(of: member)
      let isPlain = top.map { folder in Self.plainNames.contains { folder + $0 == member.name } } ?? false
      guard isPlain || Self.mayBePickle(data, member.name) else { continue }
      var input = ByteReader(data, offset: 0, end: data.count)
      let (graph, error) = PickleReader.audit(&input)
      if !isPlain {
        // Numbers and text can look like the beginning of a pickle; one that names nothing that Python could import
        // does nothing.
        guard graph.namesAnything else { continue }
        add(.suspicious, member.name, "is a pickle where none belongs")
      }
      pickles += 1
      audit(graph, at: member.name)
      if let error {
        add(.suspicious, member.name, "breaks off: \(error.reason)")
      } else if input.offset < data.count {
        add(.suspicious, member.name, "\(data.count - input.offset) bytes follow the pickle's end")
        auditRest(&input, of: data, at: member.name)
      }
    }
  }

  /// Pickles behind each other: what follows the first, up to something that is none.
  private mutating func auditRest(_ input: inout ByteReader, of data: FileBytes, at place: String) {
    for _ in 0..<64 where input.offset < data.count {
      let (graph, error) = PickleReader.audit(&input)
      if graph.namesAnything {
        pickles += 1
        add(.suspicious, place, "holds a pickle behind the first")
        audit(graph, at: place)
      }
      if error != nil { return }
    }
  }

  /// A file of pickles: PyTorch's legacy format, or any other.
  private mutating func auditSequence(_ file: FileBytes) {
    var input = ByteReader(file, offset: 0, end: file.count)
    let isLegacy = (try? LegacyTorchFile.read(file)) != nil
    for index in 0..<64 where input.offset < file.count {
      if isLegacy, index == 5 { return }
      let start = input.offset
      let (graph, error) = PickleReader.audit(&input)
      if index == 0 || graph.namesAnything || error == nil { pickles += 1 }
      audit(graph, at: "")
      if let error {
        if index == 0 || graph.namesAnything { add(.suspicious, "", "breaks off: \(error.reason)") }
        if index > 0 { add(.suspicious, "", "\(file.count - start) bytes follow a pickle's end") }
        return
      }
    }
  }

  private static func mayBePickle(_ data: FileBytes, _ name: String) -> Bool {
    guard data.count > 1 else { return false }
    let first = data.bytes[0]
    if first == 0x80 { return data.bytes[1] <= 5 }
    // The first protocols have no mark of their own; storages are not searched for them.
    return !name.contains("/data/") && (name.hasSuffix(".pkl") || "c(]}lid".utf8.contains(first))
  }

  private mutating func audit(_ graph: PickleGraph, at place: String) {
    for global in graph.namedGlobals() {
      let name = global.name.description.printable(limit: 200)
      if global.isMethodLookup {
        add(.safe, place, "looks up \(global.methods.joined(separator: ", ")) on an object of the file, by getattr")
      } else {
        let verdict = PickleVerdict(global.name)
        guard verdict != .safe else { continue }
        add(verdict, place, global.isCalled ? "Python would call \(name)" : "names \(name), which Python would import")
      }
    }
    if graph.callsResults { add(.dangerous, place, "Python would call what another call returned") }
    for call in graph.calls {
      guard let method = graph.smuggledMethod(call) else { continue }
      add(.dangerous, place, "Python would call the \(method) that an object of the file brings along")
    }
  }
}

extension ClassName {
  /// Whether both parts are names as Python writes them.
  fileprivate var isImportable: Bool {
    [module, name].allSatisfy { text in
      !text.isEmpty
        && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
          !part.isEmpty && part.first?.isNumber == false && part.allSatisfy { $0 == "_" || $0.isLetter || $0.isNumber }
        }
    }
  }
}

/// A class or function that a pickle names.
struct NamedGlobal {
  let name: ClassName
  var isCalled = false
  /// Whether all that is done with it is to look methods up: `getattr(object, 'forward_fuse')`.
  var isMethodLookup = false
  var methods: [String] = []
}

extension PickleGraph {
  var namesAnything: Bool {
    nodes.contains { if case .global(let name) = $0 { name.isImportable } else { false } }
  }

  /// Whether something is called that is itself the result of a call.
  var callsResults: Bool { calls.contains { className($0.callable) == nil && call($0.callable) != nil } }

  /// Everything that the pickle names, reachable from its root or not.
  func namedGlobals() -> [NamedGlobal] {
    var globals: OrderedDictionary<Reference, NamedGlobal> = [:]
    for (index, node) in nodes.enumerated() {
      if case .global(let name) = node { globals[index] = NamedGlobal(name: name) }
    }
    var lookups: [Reference: Int] = [:]
    var uses: [Reference: Int] = [:]
    for call in calls where globals[call.callable] != nil {
      globals[call.callable]?.isCalled = true
      uses[call.callable, default: 0] += 1
      if isMethodLookup(call), let arguments = tuple(call.arguments) {
        lookups[call.callable, default: 0] += 1
        let method = text(arguments[1])?.printable(limit: 80) ?? ""
        if globals[call.callable]?.methods.contains(method) == false { globals[call.callable]?.methods.append(method) }
      }
    }
    for (reference, count) in lookups where count == uses[reference] { globals[reference]?.isMethodLookup = true }
    return Array(globals.values)
  }
}
