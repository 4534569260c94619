import ModelCore
import SystemPackage

extension ONNXModel {
  /// Where the weights of a model are written.
  public enum DataPlace: String, Sendable {
    /// Where they were: in the model or beside it. What is too large for one file, 2 GB, goes beside it.
    case asRead
    /// All in the model's file.
    case inside
    /// In a file beside it, `best.onnx.data` for `best.onnx`, but for small ones that were in the model.
    case beside
  }

  /// What a file holds at most, for other readers' sake: protobuf's own bound.
  static let fileLimit = Int(Int32.max)
  /// Smaller constants stay in the model's file: shapes and scalars, which readers want at hand.
  static let smallest = 1024

  /// Writes the model; what was not changed is written byte for byte.
  ///
  /// Whatever ends the process, the file at `location` is the earlier model or the new one, with all the data that it
  /// names: new data replaces no file but is called `best-2.onnx.data` where the name is taken, the model is renamed over
  /// the old one when both are whole, and the old one's data file is removed then, unless another model of the folder
  /// names it. The output may be the input.
  /// - Returns: how many bytes were written.
  /// - Throws: `ModelError` when it cannot be written, or weights in other files cannot be read; and for what is to
  ///   stand in one file and exceeds 2 GB.
  @discardableResult
  public func write(to location: some FileLocation, data: DataPlace = .asRead) throws -> Int {
    let path = try location.filePath
    // Beside the file that a link leads to, not beside the link.
    do { return try write(ExternalFolder.real(path) ?? path, data) } catch let error as ModelError {
      throw error.inFile(path.string)
    }
  }

  private func write(_ path: FilePath, _ place: DataPlace) throws -> Int {
    let names = DataNames(of: path)
    let record = try OutputRecord(of: names, for: path)
    let earlier = names.standing()
    let shared = names.namedByOthers()
    try record.sweep(keeping: shared.union(earlier))
    AtomicFile.removeAbandoned(path)
    try record.add(standing: earlier)
    let written =
      try place == .inside || (place == .asRead && !isLarge && !constants.contains { $0.tensor.isExternal })
      ? writeAlone(to: path) : writePair(to: path, names, earlier, record)
    record.keep()
    try record.sweep(keeping: shared.union(written.data))
    return written.bytes
  }

  /// The files in which its constants lie, by the names that it gives them.
  public var dataFiles: [String] {
    var found: OrderedSet<String> = []
    for constant in constants {
      if case .outside(let data) = constant.tensor.location { found.append(data.path) }
    }
    return Array(found)
  }

  private var isLarge: Bool {
    constants.reduce(0) { $0 + ($1.tensor.byteCount ?? 0) } > Self.fileLimit - (64 << 20)
  }

  /// Writes the model with all its weights in it, as to a file with `DataPlace.inside`, into a pipe or the like.
  /// - Throws: `ModelError` as for a file.
  public func write(to stream: FileDescriptor, name: String) throws -> Int {
    do { return try writeAlone { _ in StreamedFile(stream, name: name) } } catch let error as ModelError {
      throw error.inFile(name)
    }
  }

  private func writeAlone(to path: FilePath) throws -> (bytes: Int, data: [String]) {
    try (writeAlone { try AtomicFile(replacing: path, expectedSize: $0) }, [])
  }

  private func writeAlone(open: (Int) throws -> any ByteSink) throws -> Int {
    var model = self
    let external = constants.filter(\.tensor.isExternal)
    try model.setConstants(
      Dictionary(external.map { ($0.name, try $0.tensor.tensor()) }, uniquingKeysWith: { first, _ in first }))
    let pieces = ProtobufPieces(model.encoded)
    guard pieces.count <= Self.fileLimit else {
      throw ModelError(
        .limit, "would have \(pieces.count) bytes in one file, more than protobuf's readers take",
        advice: "put the weights beside it, with --external-data")
    }
    let file = try open(pieces.count)
    try pieces.read { try file.write($0) }
    try file.commit()
    return file.position
  }

  private func writePair(
    to path: FilePath, _ names: DataNames, _ earlier: [String], _ record: OutputRecord
  ) throws -> (bytes: Int, data: [String]) {
    let name = names.free(taken: earlier)
    var layout = DataLayout()
    for constant in constants where constant.tensor.hasElements {
      guard constant.tensor.isExternal || (constant.tensor.byteCount ?? 0) >= Self.smallest else { continue }
      do { layout.add(constant.name, try constant.tensor.tensor()) } catch let error as ModelError {
        throw error.about(constant.name)
      }
    }
    guard !layout.items.isEmpty else { return try writeAlone(to: path) }
    var model = self
    try model.moveConstants(
      layout.places.mapValues { ONNXExternalData(path: name, offset: $0.offset, length: $0.count) })
    let pieces = ProtobufPieces(model.encoded)
    let file = try AtomicFile(replacing: path, expectedSize: pieces.count)
    try record.add([(name, 0)])
    let data = try AtomicFile(creating: names.folder.appending(name), permissions: nil, expectedSize: layout.count)
    try ReadAhead.forEachPart(of: layout.items, tensor: \.tensor) {
      try ContiguousBytes($0.tensor, part: $1)
    } consume: { item, part, held in
      if part.lowerBound == 0 { try data.write([UInt8](repeating: 0, count: item.offset - data.position)) }
      try data.write(held.bytes)
    }
    try pieces.read { try file.write($0) }
    try file.synchronize()
    try data.synchronize()
    try record.add([(name, try data.number())])
    try data.place()
    try file.commit(with: [data], and: [record.file])
    return (file.position + data.position, [name])
  }
}

/// Where each constant stands in a data file: shared elements once, large ones at pages, so that they can be mapped.
private struct DataLayout {
  private(set) var items: [(tensor: Tensor, offset: Int)] = []
  private(set) var places: [String: (offset: Int, count: Int)] = [:]
  private(set) var count = 0
  private var known: [Tensor.Identity: Int] = [:]

  mutating func add(_ name: String, _ tensor: Tensor) {
    let bytes = tensor.byteCount
    if let offset = known[tensor.identity] {
      places[name] = (offset, bytes)
      return
    }
    let alignment = bytes >= 1 << 20 ? 4096 : 64
    let offset = (count + alignment - 1) / alignment * alignment
    items.append((tensor, offset))
    places[name] = (offset, bytes)
    known[tensor.identity] = offset
    count = offset + bytes
  }
}

/// The names of the data files of one model: `best.onnx.data`, or `best-2.onnx.data` where that is taken.
private struct DataNames: OutputNames {
  let folder: FilePath
  private let path: FilePath
  private let (stem, ending): (String, String)

  init(of path: FilePath) {
    self.path = path
    folder = path.removingLastComponent()
    (stem, ending) = (path.stem ?? "model", (path.extension.map { ".\($0)" } ?? "") + ".data")
  }

  var record: FilePath { LockedFile.path(in: folder, for: stem + ending, "mutils-data") }

  func free(taken: [String]) -> String {
    var round = 1
    while true {
      let name = round == 1 ? stem + ending : "\(stem)-\(round)\(ending)"
      if !taken.contains(name), isFree(name) { return name }
      round += 1
    }
  }

  func contains(_ name: String) -> Bool {
    guard name.hasPrefix(stem), name.hasSuffix(ending), name.utf8.count >= stem.utf8.count + ending.utf8.count else {
      return false
    }
    let middle = name.dropFirst(stem.count).dropLast(ending.count)
    return middle.isEmpty
      || (middle.first == "-" && middle.count > 1 && middle.dropFirst().utf8.allSatisfy { 48...57 ~= $0 })
  }

  /// The files of these names that other models in the folder name, as copies of a model do.
  func namedByOthers() -> Set<String> {
    let models = FileFolder.names(in: folder.isEmpty ? "." : folder)
      .filter { $0.hasSuffix(".onnx") && $0 != path.lastComponent?.string }
    return Set(models.flatMap { data(of: folder.appending($0)) })
  }

  /// The data files that the model which stands at the path names, as far as they are named as here.
  func standing() -> [String] { data(of: path) }

  private func data(of path: FilePath) -> [String] {
    guard let model = try? ONNXModel(contentsOf: path) else { return [] }
    return model.dataFiles.filter(contains)
  }
}
