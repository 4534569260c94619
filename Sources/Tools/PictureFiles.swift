import FoundationEssentials
import ModelUtils
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which pictures arguments stand for.
enum PictureFiles {
  static func isFolder(_ path: FilePath) -> Bool {
    var isFolder = false
    return FileManager.default.fileExists(atPath: path.string, isDirectory: &isFolder) && isFolder
  }

  /// The files that the arguments stand for; a folder's pictures in the order of their names.
  /// - Parameter passOver: is told which pictures of a folder are of formats that are not read.
  static func all(_ arguments: [String], passOver: (String) -> Void) throws -> [FilePath] {
    try arguments.flatMap { argument in
      let path = FilePath(argument)
      guard isFolder(path) else { return [path] }
      let names: [String]
      do { names = try FileManager.default.contentsOfDirectory(atPath: argument) } catch {
        throw ModelError(.system, "cannot be read", file: argument)
      }
      let pictures = names.filter { !$0.hasPrefix(".") && ImageFile.Format(of: FilePath($0)) != nil }.sorted()
      let others = names.filter { otherFormats.contains(FilePath($0).extension?.lowercased() ?? "") }.sorted()
      if let first = others.first {
        passOver("\(argument): \(others.count) pictures are passed over, \(first) first: only PNG and JPEG are read")
      }
      guard !pictures.isEmpty else { throw ModelError(.missing, "holds no .png, .jpg or .jpeg", file: argument) }
      return pictures.map { path.appending($0) }
    }
  }

  /// Extensions of pictures that are not read.
  private static let otherFormats: Set<String> = ["avif", "bmp", "gif", "heic", "jp2", "tif", "tiff", "webp"]

  /// Makes a folder, and those it stands in.
  static func makeFolder(_ path: FilePath) throws {
    do {
      try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    } catch {
      throw ModelError(.system, "is no folder and cannot be made one", file: path.string)
    }
  }

  /// Where each picture's output goes in a folder.
  /// - Parameter ending: the extension; the picture's own where it is nil.
  /// - Throws: `ModelError` where two are the same, or one exists and is not to be replaced.
  static func outputs(
    of inputs: [FilePath], in folder: FilePath, ending: String? = nil, force: Bool, dryRun: Bool = false
  ) throws -> [FilePath] {
    if !dryRun { try makeFolder(folder) }
    var taken: [FilePath: FilePath] = [:]
    return try inputs.map { input in
      let name = FilePath(input.lastComponent?.string ?? "picture.png")
      let path = folder.appending(ending.map { "\(name.stem ?? name.string).\($0)" } ?? name.string)
      if let other = taken.updateValue(input, forKey: path) {
        throw ModelError(.invalid, "would be written for \(other) and for \(input)", file: path.string)
      }
      guard ending != nil || ImageFile.Format(of: path) != nil else {
        throw ModelError(
          .unsupported, "is neither PNG nor JPEG by its name, so it cannot be written as that", file: input.string)
      }
      try check(path, force: force)
      guard !isSame(path, input) else {
        throw ModelError(
          .invalid, "would take the place of the picture that is looked at", file: path.string,
          advice: "choose another folder")
      }
      return path
    }
  }

  /// Whether two paths lead to one file.
  private static func isSame(_ first: FilePath, _ second: FilePath) -> Bool {
    var (a, b) = (stat(), stat())
    return stat(first.string, &a) == 0 && stat(second.string, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  /// - Throws: `ModelError` where a file exists that is not to be replaced.
  static func check(_ path: FilePath, force: Bool) throws {
    if !force, (try? FileDescriptor.open(path, .readOnly, options: [.nonBlocking]).close()) != nil {
      throw ModelError(.exists, "exists already", file: path.string, advice: "give --force to replace it")
    }
  }
}
