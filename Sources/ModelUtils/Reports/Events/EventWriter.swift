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

/// Writes what TensorBoard shows, scalars and pictures over steps, as torch's `SummaryWriter` does.
///
/// Each writer has a file of its own, `events.out.tfevents.<seconds>.<host>.<process>.<n>`; TensorBoard takes all files
/// of a folder together, so that a resumed run goes on in a new one. What is added waits in memory until `flush`, or
/// until it is a megabyte. The file always ends with a whole record: what cannot be written is taken back, and waits
/// for the next `flush`.
public final class EventWriter {
  /// Where the events go.
  public var path: FilePath { file.path }
  private let file: AppendedFile
  private var waiting: [UInt8] = []
  private static let bufferSize = 1 << 20

  /// Begins a new file.
  /// - Parameters:
  ///   - folder: where it is made, with the folders above it that are missing.
  ///   - time: of the beginning, in seconds since 1970; nil for now.
  /// - Throws: `ModelError` when it cannot be written.
  public init(folder: some FileLocation, time: Double? = nil) throws {
    let folder = try folder.filePath
    let time = time ?? Self.now
    guard let seconds = Int(exactly: time.rounded(.down)) else {
      throw ModelError(.invalid, "\(time) is no time in seconds")
    }
    try FileFolder.make(folder)
    let start = "events.out.tfevents.\(seconds).\(Self.host).\(getpid())."
    var number = 0
    while true {
      do {
        file = try AppendedFile(folder.appending("\(start)\(number)"), creating: true)
        break
      } catch let error as ModelError where error.kind == .exists && number < 100_000 {
        number += 1
      }
    }
    try file.append(EventRecord.version(time: time))
  }

  deinit { try? flush() }

  /// Adds a number.
  /// - Parameters:
  ///   - tag: its name, such as `train/loss`: TensorBoard groups by what stands before the slash.
  ///   - value: stored as a float32.
  ///   - step: the epoch, or whatever is counted.
  ///   - time: in seconds since 1970; nil for now.
  /// - Throws: `ModelError` for an empty tag, and when the file cannot be written.
  public func add(scalar tag: String, _ value: Double, step: Int, time: Double? = nil) throws {
    try check(tag)
    try add(EventRecord.scalar(tag, Float(value), step: step, time: time ?? Self.now))
  }

  /// Adds a picture, as a PNG file of its bits per channel.
  /// - Parameters:
  ///   - tag: its name.
  ///   - step: the epoch, or whatever is counted.
  ///   - time: in seconds since 1970; nil for now.
  /// - Throws: `ModelError` for an empty tag, and when the file cannot be written.
  public func add(image tag: String, _ picture: ImageFile, step: Int, time: Double? = nil) throws {
    try check(tag)
    let png = try picture.encoded(as: .png)
    try add(
      EventRecord.image(
        tag, png: png, height: picture.height, width: picture.width, step: step, time: time ?? Self.now))
  }

  /// Brings what was added into the file, where TensorBoard sees it.
  /// - Throws: `ModelError` when it cannot be written; it is then kept for another try.
  public func flush() throws {
    guard !waiting.isEmpty else { return }
    try file.append(waiting)
    waiting.removeAll(keepingCapacity: true)
  }

  /// Flushes and ends the file. Nothing can be added any more.
  /// - Throws: `ModelError` when it cannot be written.
  public func close() throws {
    try flush()
    try file.close()
  }

  private func add(_ record: [UInt8]) throws {
    waiting += record
    if waiting.count >= Self.bufferSize { try flush() }
  }

  private func check(_ tag: String) throws {
    guard !tag.isEmpty else { throw ModelError(.invalid, "a tag cannot be empty") }
  }

  private static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// The machine's name, of what may stand in a file's name.
  private static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    let isKnown = gethostname(&name, name.count - 1) == 0
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let clean = String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) ? $0 : "-" })
    return isKnown && !clean.isEmpty ? clean : "localhost"
  }
}
