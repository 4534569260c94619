import ModelCore
import ModelImages
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension ClassificationSet {
  /// What torchvision takes for pictures.
  static let pictureExtensions = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"]

  /// torchvision's `ImageFolder`: a folder for each class, in the order of their names, with pictures in it and in the
  /// folders below, in torchvision's order.
  /// - Parameter classNames: the classes that there are, for a set that is judged by those of another; a folder that is
  ///   none of them is refused, and one may be missing or empty.
  /// - Throws: `ModelError` for a folder that cannot be read, without classes, for a class without pictures (unless
  ///   `classNames` are given), and pictures in formats that are not read.
  public init(imageFolder location: some FileLocation, classNames: [String]? = nil) throws {
    let root = try location.filePath
    guard let entries = try FolderEntries(root) else {
      throw ModelError(.unsupported, "is no folder", file: root.string)
    }
    guard !entries.folders.isEmpty else {
      throw ModelError(
        .missing, "holds no folders of classes", file: root.string, advice: "give each class a folder of its pictures")
    }
    let classes = classNames ?? entries.folders
    if let other = entries.folders.first(where: { !classes.contains($0) }) {
      throw ModelError(.mismatch, "has a class '\(other)' that is not trained", file: root.string)
    }
    var (paths, labels): ([FilePath], [Int]) = ([], [])
    for (label, name) in classes.enumerated() where entries.folders.contains(name) {
      let found = try Self.pictures(in: root.appending(name))
      guard !found.isEmpty || classNames != nil else {
        throw ModelError(
          .missing, "holds no pictures", file: root.appending(name).string,
          advice: "a class has at least one .jpg, .jpeg or .png")
      }
      paths += found
      labels += [Int](repeating: label, count: found.count)
    }
    try self.init(name: root.string, classNames: classes, labels: labels, source: .files(paths))
  }

  private static func pictures(in folder: FilePath) throws -> [FilePath] {
    let pictures = try PictureFolder.pictures(in: folder, extensions: pictureExtensions)
    if let other = pictures.first(where: { !PictureFolder.isRead($0) }) {
      throw ModelError(
        .unsupported, "is a picture in a format that is not read", file: other.string,
        advice: "convert it to PNG or JPEG")
    }
    return pictures
  }
}

extension ImageFile {
  /// Decodes a file of a set, as bytes of 3 channels.
  static func decoded(_ path: FilePath) throws -> Tensor {
    let picture = try ImageFile(contentsOf: path)
    do { return try picture.bytes() } catch let error as ModelError { throw error.inFile(path.string) }
  }
}

/// The order of Python's text: by code points, as UTF-8 orders them too.
func isBefore(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

/// What a folder holds, links followed, in the order of Python's text.
struct FolderEntries {
  private(set) var folders: [String] = []
  private(set) var files: [String] = []

  /// Nil for what is no folder.
  /// - Throws: `ModelError` for one that cannot be read, and for what is not there.
  init?(_ path: FilePath) throws {
    var status = stat()
    guard stat(path.string, &status) == 0 else {
      throw ModelError(
        errno == ENOENT ? .missing : .system, "cannot be examined: \(Errno(rawValue: errno))", file: path.string)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return nil }
    guard let directory = opendir(path.string) else {
      throw ModelError(.system, "cannot be read: \(Errno(rawValue: errno))", file: path.string)
    }
    closedir(directory)
    for name in FileFolder.names(in: path) where name != "." && name != ".." {
      guard stat(path.appending(name).string, &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR { folders.append(name) } else { files.append(name) }
    }
    folders.sort(by: isBefore)
    files.sort(by: isBefore)
  }
}
