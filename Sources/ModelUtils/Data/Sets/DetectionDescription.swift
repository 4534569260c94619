import ModelCore
import SystemPackage

/// A YOLO description of a data set, a YAML file: `path`, `train`, `val` and `test`, `nc` and `names`.
///
/// A part is a folder that is searched for pictures, links followed and hidden names left out, a `.txt` with the path of
/// a picture on each line, or a list of these. Paths are relative to `path`, which is relative to the description's
/// folder; where nothing is there, to the working directory. In a `.txt` they are relative to its folder, then to
/// `path`, then to the working directory. `names` is a list, or a map from the numbers of the classes.
public struct DetectionDescription: Sendable {
  /// What sets there may be.
  public enum Part: String, Sendable, Codable, CaseIterable {
    /// What is learned from, what is judged by, and what is judged by at the end.
    case train, val, test
  }

  /// The description's file.
  public let name: String
  /// The names of the classes, in their order.
  public let classNames: [String]
  /// The folders and lists of each part that is named; of one whose places are not all there, those that are.
  public let parts: [Part: [FilePath]]
  /// What is said of a part that is used and has places that are not there.
  private let refusals: [Part: ModelError]
  /// Where the paths of lists may begin, in the order of trial.
  private let roots: [FilePath]

  /// The most classes that a description may have.
  static let classLimit = 1 << 16
  /// YOLOv6's pictures.
  static let pictureExtensions = ["bmp", "jpg", "jpeg", "png", "tif", "tiff", "dng", "webp", "mpo"]

  /// The description that is meant by a path: a `.yaml` or `.yml`, or `data.yaml` in a folder; nil for any other.
  public static func file(at location: some FileLocation) throws -> FilePath? {
    let path = try location.filePath
    if ["yaml", "yml"].contains(path.extension?.lowercased() ?? "") { return path }
    let inside = path.appending("data.yaml")
    return FileFolder.exists(inside) ? inside : nil
  }

  /// Reads a description, or the one in a folder. Not all parts of a set need to lie on a machine: places that are not
  /// there are refused when their part is used.
  /// - Throws: `ModelError` with the line, for what is no such description, and names that are not as many as `nc`.
  public init(contentsOf location: some FileLocation) throws {
    let path = try Self.file(at: location) ?? location.filePath
    let file = try FileBytes(mapping: path)
    name = file.name
    do {
      guard let entries = try YAMLDocument(file.bytes).root.entries else {
        throw ModelError(.malformed, "is no mapping of names to values", subject: "line 1")
      }
      classNames = try Self.classNames(entries)
      let folder = path.removingLastComponent()
      let bases = [folder, FilePath("")]
      var roots = bases
      if let node = entries["path"], let text = node.text, !text.isEmpty {
        roots.insert(try Self.place(text, in: bases) ?? folder.pushing(try text.filePath), at: 0)
      }
      self.roots = roots
      var (parts, refusals): ([Part: [FilePath]], [Part: ModelError]) = ([:], [:])
      for part in Part.allCases {
        guard let node = entries[part.rawValue], !(node.text == "" && !node.isQuoted) else { continue }
        parts[part] = try (node.items ?? [node]).compactMap { item in
          guard let text = item.text, !text.isEmpty else {
            throw ModelError(
              .malformed, "'\(part.rawValue)' must be a folder, a .txt or a list of these", subject: "line \(item.line)"
            )
          }
          // A description below its set's root often says that of itself.
          let inside = text.hasPrefix("../") ? String(text.dropFirst(3)) : nil
          if let path = try Self.place(text, in: roots) ?? inside.flatMap({ try Self.place($0, in: roots) }) {
            return path
          }
          refusals[part] =
            refusals[part]
            ?? ModelError(
              .missing, "'\(part.rawValue)' names a place that is not there: \(text)", file: file.name,
              subject: "line \(item.line)")
          return nil
        }
      }
      (self.parts, self.refusals) = (parts, refusals)
    } catch let error as ModelError { throw error.inFile(file.name) }
  }

  /// The set of a part.
  /// - Parameter decoding: whether all pictures are decoded, which finds damage behind their heads.
  /// - Throws: `ModelError` for a part that is not there or has no pictures, and for the first faults, with their count.
  public func set(_ part: Part, decoding: Bool = false) throws -> DetectionSet {
    try examined(part, decoding: decoding).checked()
  }

  /// What a check of a part finds, faults among it.
  /// - Throws: `ModelError` for a part that is not there, and folders and lists that cannot be read.
  public func report(_ part: Part, decoding: Bool = true) throws -> DetectionReport {
    let report = try examined(part, decoding: decoding).report
    guard part == .train, report.faultCount == 0, report.boxCount == 0, report.pictureCount > 0 else { return report }
    return report.adding(fault: SetFinding(try name.filePath, reason: "'train' has not one box to learn from"))
  }

  private func examined(_ part: Part, decoding: Bool) throws -> DetectionSet {
    guard let places = parts[part] else {
      throw ModelError(.missing, "names nothing for '\(part.rawValue)'", file: name)
    }
    if let refusal = refusals[part] { throw refusal }
    var candidates: [DetectionSet.Candidate] = []
    for place in places {
      if try FolderEntries(place) != nil {
        candidates += try PictureFolder.pictures(
          in: place, extensions: Self.pictureExtensions, skipsHidden: true
        ).map { DetectionSet.Candidate(path: $0) }
      } else if place.extension?.lowercased() == "txt" {
        candidates += try listed(place)
      } else {
        throw ModelError(.unsupported, "is neither a folder nor a .txt of pictures", file: place.string)
      }
    }
    candidates.sort { isBefore($0.path.string, $1.path.string) }
    let repeated = zip(candidates, candidates.dropFirst()).filter { $0.path == $1.path }.map(\.0.path)
    let notes = repeated.prefix(1).map { path in
      SetFinding(path, reason: "is named more than once, as \(repeated.count) pictures are in all; each counts once")
    }
    if !repeated.isEmpty {
      var last: FilePath?
      candidates = candidates.filter { candidate in
        defer { last = candidate.path }
        return candidate.path != last
      }
    }
    let set = places.count == 1 ? places[0].string : "\(name) (\(part.rawValue))"
    return DetectionSet(name: set, classNames: classNames, candidates, decoding: decoding, notes: notes)
  }

  /// The pictures that a list names.
  private func listed(_ list: FilePath) throws -> [DetectionSet.Candidate] {
    let file = try FileBytes(mapping: list)
    let folder = list.removingLastComponent()
    var candidates: [DetectionSet.Candidate] = []
    for (index, line) in file.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
    {
      func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
      let bytes = line.drop(while: isSpace)
      let end = bytes.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? bytes.startIndex
      guard end > bytes.startIndex else { continue }
      do {
        guard var text = String(sound: bytes[..<end]) else {
          throw ModelError(.malformed, "is no UTF-8")
        }
        while text.hasPrefix("./") { text.removeFirst(2) }
        let path = try Self.place(text, in: [folder] + roots) ?? folder.pushing(try text.filePath)
        candidates.append(DetectionSet.Candidate(path: path, list: list, line: index + 1))
      } catch let error as ModelError { throw error.about("line \(index + 1)").inFile(file.name) }
    }
    return candidates
  }

  /// The first of the places below folders that is there.
  private static func place(_ text: String, in folders: [FilePath]) throws -> FilePath? {
    let path = try text.filePath
    return folders.map { $0.pushing(path) }.first(where: FileFolder.exists)
  }

  private static func classNames(_ entries: OrderedDictionary<String, YAMLNode>) throws -> [String] {
    var count: Int?
    if let node = entries["nc"] {
      count = node.text.flatMap { Int($0) }
      guard let count, (1...classLimit).contains(count) else {
        throw ModelError(
          .malformed, "'nc' must be a whole number from 1 to \(classLimit)", subject: "line \(node.line)")
      }
    }
    guard let node = entries["names"] else {
      guard let count else { throw ModelError(.malformed, "has neither 'names' nor 'nc'") }
      return (0..<count).map(String.init)
    }
    let refusal = ModelError(
      .malformed, "'names' must be a list of the classes' names, or a map from their numbers, which count from 0",
      subject: "line \(node.line)")
    var names: [String] = []
    if let items = node.items {
      names = items.compactMap(\.text)
      guard names.count == items.count else { throw refusal }
    } else if let map = node.entries {
      let known = Dictionary(
        map.compactMap { key, value in Int(key).flatMap { number in value.text.map { (number, $0) } } },
        uniquingKeysWith: { first, _ in first })
      names = (0..<map.count).compactMap { known[$0] }
      guard names.count == map.count else { throw refusal }
    } else {
      throw refusal
    }
    guard !names.isEmpty, names.count <= classLimit else { throw refusal }
    if let count, count != names.count {
      throw ModelError(
        .mismatch, "has \(names.count) names where 'nc' is \(count)", subject: "line \(node.line)")
    }
    return names
  }
}
