import ModelCore
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where in another file a constant's elements stand.
struct ONNXExternalData: Sendable, Hashable {
  /// The file, relative to the model's folder.
  let path: String
  let offset: Int
  /// Nil: what the shape takes.
  let length: Int?
  /// The SHA-1 of the elements, in hexadecimal.
  let checksum: String?

  init(path: String, offset: Int, length: Int) {
    (self.path, self.offset, self.length, checksum) = (path, offset, length, nil)
  }

  /// - Throws: `ModelError` for numbers that are none.
  init(_ entries: OrderedDictionary<String, String>) throws {
    func number(_ key: String) throws -> Int? {
      guard let text = entries[key] else { return nil }
      guard let value = Int(text), value >= 0 else {
        throw ModelError(.malformed, "its data in another file has the \(key) '\(text.printable(limit: 40))'")
      }
      return value
    }
    guard let path = entries["location"] else {
      throw ModelError(.malformed, "its data is in another file, which is not named")
    }
    self.path = path
    offset = try number("offset") ?? 0
    length = try number("length")
    checksum = entries["checksum"]
  }

  var entries: OrderedDictionary<String, String> {
    var entries: OrderedDictionary = ["location": path, "offset": String(offset)]
    if let length { entries["length"] = String(length) }
    return entries
  }
}

/// The folder of a model's file, in which its further files are: each is mapped once.
final class ExternalFolder: Sendable {
  private let folder: FilePath
  /// The folder of the file that the model's name leads to, for stores that link each file of a model.
  private let realFolder: FilePath
  private let model: String
  private let files = Mutex<[String: FileBytes]>([:])
  /// Constants that share their elements have one storage.
  private let storages = Mutex<[ONNXExternalData: Storage]>([:])

  init(of model: FilePath) {
    self.model = model.string
    let folder = model.removingLastComponent()
    self.folder = folder.isEmpty ? "." : folder
    realFolder = Self.real(model)?.removingLastComponent() ?? self.folder
  }

  static func real(_ path: FilePath) -> FilePath? {
    guard let resolved = realpath(path.string, nil) else { return nil }
    defer { free(resolved) }
    return FilePath(String(cString: resolved))
  }

  /// - Throws: `ModelError` for a file that is not there, is none, or lies outside of the folder, and a range that does
  ///   not lie inside it.
  func storage(of data: ONNXExternalData, byteCount: Int) throws -> Storage {
    if let length = data.length, length != byteCount {
      throw ModelError(.malformed, "has \(length) bytes in \(data.path.printable()) where its shape takes \(byteCount)")
    }
    if let storage = storages.withLock({ $0[data] }), storage.byteCount == byteCount { return storage }
    let file = try open(data.path)
    guard let storage = Storage(file, offset: data.offset, byteCount: byteCount) else {
      throw ModelError(
        .malformed,
        "stands at byte \(data.offset) of \(data.path.printable()), which ends at \(file.count), \(byteCount) bytes long",
        advice: "give the data file that belongs to the model")
    }
    storages.withLock { $0[data] = storage }
    return storage
  }

  /// Maps a file that a model names.
  func open(_ name: String) throws -> FileBytes {
    if let file = files.withLock({ $0[name] }) { return file }
    let file = try FileBytes(mapping: try path(of: name))
    return files.withLock { files in
      if let other = files[name] { return other }
      files[name] = file
      return file
    }
  }

  /// Where a file stands that a model names.
  /// - Throws: `ModelError` for a name that leads out of the folder.
  func path(of name: String) throws -> FilePath {
    func refuse(_ reason: String) -> ModelError {
      ModelError(.unsafe, "names the data file '\(name.printable())', \(reason)")
    }
    guard !name.isEmpty, !name.utf8.contains(0) else { throw refuse("which is no name of a file") }
    let relative = FilePath(name)
    guard !relative.isAbsolute, relative.components.allSatisfy({ $0.kind == .regular }) else {
      throw refuse("which leads out of the model's folder")
    }
    let path = folder.appending(relative.components)
    guard let real = Self.real(path) else {
      throw ModelError(
        .missing, "its data is in \(path.string.printable()), which is not there",
        advice: "put the file beside the model under this name")
    }
    let allowed = [Self.real(folder) ?? folder, realFolder]
    guard allowed.contains(where: { real.starts(with: $0) }) else {
      throw refuse("a link that leads out of the model's folder")
    }
    guard Self.real(FilePath(model)) != real else { throw refuse("which is the model itself") }
    return path
  }
}
