import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The hidden file that stands beside the further files of an output, such as shards, while they are written: it keeps other writers out, and tells the next
/// one what to remove when this one is killed.
///
/// It lists names, each with the number of the file that bears it (0 before there is one), so that a file which somebody
/// else put there later is not taken for ours.
final class OutputRecord {
  private let names: any OutputNames
  private let path: FilePath
  private let descriptor: FileDescriptor
  private var entries: [String: Set<UInt64>] = [:]
  /// Whether it lists what may still have to be removed, and so must outlive this object.
  private var isNeeded: Bool

  /// Opens the record, with what a killed writer left in it.
  /// - Throws: `ModelError` when it cannot be written, or another process is writing the same output.
  init(of names: any OutputNames, for output: FilePath) throws {
    self.names = names
    path = names.record
    descriptor = try LockedFile.open(path, for: output)
    var status = stat()
    isNeeded = fstat(descriptor.rawValue, &status) != 0 || status.st_size > 0
    let length = try read(FileBytes(mapping: path))
    isNeeded = !entries.isEmpty
    guard ftruncate(descriptor.rawValue, off_t(length)) == 0, lseek(descriptor.rawValue, 0, SEEK_END) >= 0 else {
      throw failure("cannot be written")
    }
    if !isNeeded { UnfinishedFiles.insert(path) }
  }

  /// - Returns: how many bytes of the text count; what follows the last zero byte was not written whole.
  private func read(_ text: FileBytes) -> Int {
    guard text.count <= SafeTensors.headerLimit else { return 0 }
    return withExtendedLifetime(text) {
      var length = 0
      for line in text.bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast() {
        length += line.count + 1
        let fields = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 1)
        guard fields.count == 2, let number = UInt64(fields[0]), names.contains(String(fields[1])) else { continue }
        entries[String(fields[1]), default: []].insert(number)
      }
      return length
    }
  }

  deinit {
    if !isNeeded {
      unlink(path.string)
      UnfinishedFiles.remove(path)
    }
    try? descriptor.close()
  }

  /// Lists files, on the disk before this returns.
  func add(_ files: [(name: String, number: UInt64)]) throws {
    if files.isEmpty { return }
    var text: [UInt8] = []
    for file in files {
      text += Array("\(file.number) \(file.name)".utf8) + [0]
      entries[file.name, default: []].insert(file.number)
    }
    do {
      _ = try text.withUnsafeBytes { try descriptor.writeAll($0) }
    } catch let error as Errno {
      throw ModelError(.system, "cannot be written: \(error)", file: path.string)
    }
    guard fsync(descriptor.rawValue) == 0 else { throw failure("cannot be written") }
    AtomicFile.synchronizeFolder(of: path)
  }

  /// Lists the files that bear these names now.
  func add(standing names: some Sequence<String>) throws {
    try add(names.map { ($0, number($0) ?? 0) })
  }

  /// From now on what it lists has to be removed, by this process or the next.
  func keep() {
    isNeeded = true
    UnfinishedFiles.remove(path)
  }

  /// What a signal must no longer remove once the new files are named.
  var file: FilePath { path }

  /// Removes the files that it lists, but for those named here, and what was left of those that did not become whole.
  /// - Throws: `ModelError` when one cannot be removed.
  func sweep(keeping kept: Set<String>) throws {
    for (name, numbers) in entries {
      let place = names.folder.appending(name)
      AtomicFile.removeAbandoned(place)
      if !kept.contains(name), let number = number(name), numbers.contains(number) {
        try Self.remove(place)
      }
    }
    entries = [:]
    guard ftruncate(descriptor.rawValue, 0) == 0, lseek(descriptor.rawValue, 0, SEEK_SET) == 0 else {
      throw failure("cannot be written")
    }
    isNeeded = false
    UnfinishedFiles.insert(path)
  }

  /// Removes a file that is there.
  static func remove(_ path: FilePath) throws {
    guard unlink(path.string) != 0, errno != ENOENT, errno != EISDIR else { return }
    throw ModelError(
      .system,
      "belongs to what was there before, and cannot be removed: \(Errno(rawValue: errno))", file: path.string)
  }

  private func number(_ name: String) -> UInt64? {
    var status = stat()
    guard lstat(names.folder.appending(name).string, &status) == 0 else { return nil }
    return UInt64(status.st_ino)
  }

  private func failure(_ what: String) -> ModelError {
    ModelError(.system, "\(what): \(Errno(rawValue: errno))", file: path.string)
  }
}
