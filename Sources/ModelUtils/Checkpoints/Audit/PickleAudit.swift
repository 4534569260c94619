import ModelCore
import SystemPackage

/// What the pickles of a file would make Python import and call, found without doing so.
///
/// Everything that a pickle names counts, also what it throws away again or names before an error stops it, in every
/// member of a zip archive, and behind the end of the first pickle. A file is dangerous when it would call something
/// that is not known to make data and nothing else, or names what runs commands or code; suspicious when it names code
/// that is not known here, such as a model's own classes. What the audit calls dangerous is never written again
/// (`Checkpoint.write`). A method looked up on an object of the model's own classes, as YOLO's fused models hold
/// `forward_fuse`, is neither.
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

  /// Audits a file, of an index of shards the shards; one that holds no pickle (safetensors) has no findings.
  /// - Throws: `ModelError` when it cannot be opened, when readers disagree about what it holds (an inconsistent zip
  ///   archive, a tar archive), or when it is no pickle: Python would stop before it had imported anything.
  public init(contentsOf location: some FileLocation) throws {
    let file = try OtherFormat.open(location)
    try self.init(file)
    guard SafeTensors.recognizesIndex(file) else { return }
    let folder = try location.filePath.removingLastComponent()
    var refusal: ModelError?
    for shard in try SafeTensors.shardNames(index: file) {
      do {
        let audit = try PickleAudit(FileBytes(mapping: folder.appending(shard)))
        pickles += audit.pickles
        for finding in audit.findings {
          add(finding.verdict, finding.place.isEmpty ? shard : "\(shard): \(finding.place)", finding.what)
        }
      } catch let error as ModelError { refusal = refusal ?? error }
    }
    // What another shard would do is worth more than that one cannot be read.
    if let refusal, verdict != .dangerous { throw refusal }
    finish()
  }

  /// Audits bytes that are in memory or mapped. An index of shards does not say where they are: of it alone there is
  /// nothing to find.
  /// - Throws: as `init(contentsOf:)`.
  public init(_ file: FileBytes) throws {
    do {
      // A file may be safetensors to one reader, and to another a zip archive or a pickle.
      if ZipArchive.recognizes(file) {
        try auditArchive(try ZipArchive(file))
      } else if SafeTensors.recognizes(file) {
        auditMember(file, "")
      } else if !SafeTensors.recognizesIndex(file) {
        guard !TarHeader.stands(at: file) else { throw TarHeader.refusal(of: file) }
        try auditSequence(file)
      }
    } catch let error as ModelError { throw error.inFile(file.name) }
    finish()
  }

  /// Whether a file of another format is a pickle too, of something that Python would import.
  static func beginsWithPickle(_ file: FileBytes) -> Bool {
    var input = ByteReader(file, offset: 0, end: file.count)
    return PickleReader.audit(&input).graph.namesAnything
  }

  private var known: Set<Finding> = []

  private mutating func add(_ verdict: PickleVerdict, _ place: String, _ what: String) {
    let finding = Finding(verdict: verdict, place: place, what: what)
    if known.insert(finding).inserted { findings.append(finding) }
  }

  private mutating func finish() {
    findings.sort { ($1.verdict, $0.place, $0.what) < ($0.verdict, $1.place, $1.what) }
    known = []
  }

  // MARK: Archives

  private mutating func auditArchive(_ archive: ZipArchive) throws {
    let top = archive.folder
    let isScript = archive.member(named: top + "constants.pkl") != nil
    for member in archive.members.values where member.size > 0 {
      let isPlain = Self.isPlain(
        member.name.dropFirst(member.name.hasPrefix(top) ? top.count : 0), isScript: isScript)
      let data: FileBytes
      do { data = try archive.data(of: member) } catch let error as ModelError
        where error.kind == .malformed && !isPlain
      {
        // Readers stop where they meet it; what stands in the other members counts all the same.
        add(.suspicious, member.name, error.reason)
        continue
      }
      if isScript, member.name.hasPrefix(top + "code/"), member.name.hasSuffix(".py") {
        auditScript(data, at: member.name)
      } else if isPlain {
        auditPickle(data, at: member.name)
      } else {
        auditMember(data, member.name)
      }
    }
    if isScript { add(.safe, top + "code", "is TorchScript code, which is not judged") }
  }

  /// The pickles that PyTorch writes, all but the first for TorchScript.
  private static func isPlain(_ name: Substring, isScript: Bool) -> Bool {
    name.lowercased() == "data.pkl"
      || isScript
        && (["constants.pkl", "traced_inputs.pkl", "bytecode.pkl", "mobile_debug_handles.pkl", "attributes.pkl"]
          .contains(name) || name.hasPrefix("code/") && name.hasSuffix(".debug_pkl"))
  }

  private mutating func auditPickle(_ data: FileBytes, at place: String) {
    var input = ByteReader(data, offset: 0, end: data.count)
    let audited = PickleReader.audit(&input)
    pickles += 1
    audit(audited, at: place)
    if audited.error == nil, input.offset < data.count {
      add(.suspicious, place, "\(data.count - input.offset) bytes follow the pickle's end")
      auditRest(&input, of: data, at: place)
    }
  }

  /// A member that is no pickle by its name. Numbers and text can look like the beginning of one; one that names
  /// nothing that Python could import does nothing.
  private mutating func auditMember(_ data: FileBytes, _ place: String) {
    var input = ByteReader(data, offset: 0, end: data.count)
    let audited = PickleReader.audit(&input)
    guard audited.graph.namesAnything else { return }
    pickles += 1
    add(.suspicious, place, "is a pickle where none belongs")
    audit(audited, at: place)
    if audited.error == nil, input.offset < data.count { auditRest(&input, of: data, at: place) }
  }

  /// Pickles behind each other: what follows the first, up to something that is none.
  private mutating func auditRest(_ input: inout ByteReader, of data: FileBytes, at place: String) {
    for _ in 0..<64 where input.offset < data.count {
      let audited = PickleReader.audit(&input)
      if audited.graph.namesAnything {
        pickles += 1
        add(.suspicious, place, "holds a pickle behind the first")
        audit(audited, at: place)
      }
      if audited.error != nil { return }
    }
  }

  /// What of TorchScript's operators reaches files: `torch.jit.load` runs a class's `__setstate__`.
  private mutating func auditScript(_ data: FileBytes, at place: String) {
    let text = withExtendedLifetime(data) { String(decoding: data.bytes, as: UTF8.self) }
    for operation in ["torch.save", "torch.from_file", "torch.load", "write_file", "read_file", "ops.aten.save"]
    where text.contains(operation + "(") {
      add(.dangerous, place, "TorchScript would call \(operation), which reaches files")
    }
  }

  // MARK: Plain files

  /// A file of pickles: PyTorch's legacy format, or any other.
  /// - Throws: `ModelError` for a file that is no pickle, as reading it does.
  private mutating func auditSequence(_ file: FileBytes) throws {
    var input = ByteReader(file, offset: 0, end: file.count)
    let isLegacy = (try? LegacyTorchFile.read(file)) != nil
    for index in 0..<64 where input.offset < file.count {
      if isLegacy, index == 5 { return }
      let start = input.offset
      let audited = PickleReader.audit(&input)
      if index == 0, audited.isNoPickle { throw OtherFormat.refusal(of: file) ?? OtherFormat.unknown }
      let isMeant = index == 0 || audited.graph.namesAnything
      if isMeant || audited.error == nil { pickles += 1 }
      if isMeant { audit(audited, at: "") }
      if audited.error != nil {
        if index > 0 { add(.suspicious, "", "\(file.count - start) bytes follow a pickle's end") }
        return
      }
    }
  }

  // MARK: Effects

  private mutating func audit(_ audited: PickleReader.Audited, at place: String) {
    for effect in audited.graph.effects() {
      let what = effect.what.printable(limit: 200)
      switch effect.action {
      case .calls: add(effect.verdict, place, "Python would call \(what)")
      case .names: add(effect.verdict, place, "names \(what), which Python would import")
      case .looksUp: add(effect.verdict, place, "looks up \(what) on an object of the file, by getattr")
      }
    }
    if let error = audited.error {
      // Where the bytes end Python stops as well; past anything else it may go on.
      add(audited.isTruncated ? .suspicious : .dangerous, place, "breaks off: \(error.reason)")
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

extension PickleGraph {
  var namesAnything: Bool {
    nodes.contains { if case .global(let name) = $0 { name.isImportable } else { false } }
  }
}
