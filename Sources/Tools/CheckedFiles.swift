import FoundationEssentials
import ModelUtils
import SystemPackage

/// The models that arguments stand for, some of which are folders.
struct CheckedFiles {
  private(set) var models: [String] = []
  private(set) var hasFolder = false
  /// How many files of the folders are no models by their names or beginnings.
  private(set) var passedOver = 0

  /// - Throws: `ModelError` for a folder that cannot be read, or holds no model.
  init(_ arguments: [String]) throws {
    for argument in arguments {
      guard PictureFiles.isFolder(FilePath(argument)), argument != ModelSource.stream else {
        models.append(argument)
        continue
      }
      hasFolder = true
      let before = models.count
      try add(folder: argument)
      guard models.count > before else {
        throw ModelError(.missing, "holds no file that could be a model", file: argument)
      }
    }
  }

  /// All files below a folder, in the order of their names; links to folders are not followed.
  private mutating func add(folder: String) throws {
    let names: [String]
    do { names = try FileManager.default.subpathsOfDirectory(atPath: folder) } catch {
      throw ModelError(.system, "cannot be read", file: folder)
    }
    for name in names.sorted() {
      let path = FilePath(folder).appending(name)
      guard !PictureFiles.isFolder(path) else { continue }
      if Self.isModel(path) { models.append(path.string) } else { passedOver += 1 }
    }
  }

  private static let endings = Set(Checkpoint.OutputFormat.torchExtensions + ["safetensors", "onnx", "pickle", "p"])

  /// By its name, or as what begins as a zip archive or a pickle does.
  private static func isModel(_ path: FilePath) -> Bool {
    if endings.contains(path.extension?.lowercased() ?? "") || path.string.hasSuffix(".index.json") { return true }
    guard let file = try? FileBytes(mapping: path) else { return false }
    let start = withExtendedLifetime(file) { Array(file.bytes.prefix(4)) }
    return start == [0x50, 0x4b, 3, 4] || (start.count > 1 && start[0] == 0x80 && (2...5).contains(start[1]))
  }
}
