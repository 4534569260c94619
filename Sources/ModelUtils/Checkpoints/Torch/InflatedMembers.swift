import CZlib
import ModelCore
import Synchronization

/// The deflated members of one archive: inflated when they are read, and let go when others need the room.
///
/// A few kilobytes can claim to hold gigabytes, so all members that an archive is asked for share one budget.
final class InflatedMembers: Sendable {
  private let file: FileBytes
  private let state = Mutex(State())

  fileprivate struct State {
    /// The bytes that the members asked for so far unpack to.
    var claimed = 0
    var claims: Set<String> = []
    /// What is kept, the last read at the end.
    var kept: OrderedDictionary<String, FileBytes> = [:]
    var keptBytes = 0
  }

  /// How many inflated bytes are kept for the next reading; the member read last is kept whatever its size.
  static let keepLimit = 256 << 20

  init(_ file: FileBytes) { self.file = file }

  /// The bytes that all members together may unpack to: 64 MB, or a hundred times the archive.
  var budget: Int {
    let (product, overflow) = file.count.multipliedReportingOverflow(by: 100)
    return max(64 << 20, overflow ? Int.max : product)
  }

  /// Takes a member's size from the budget, once.
  /// - Throws: `ModelError` when it is used up.
  func claim(_ member: ZipArchive.Member) throws {
    let budget = budget
    let total = state.withLock { state in
      if state.claims.insert(member.name).inserted {
        state.claimed = state.claimed.addingReportingOverflow(member.size).partialValue
      }
      return state.claimed
    }
    guard total >= 0, total <= budget else {
      throw ModelError(
        .limit,
        "with it the archive unpacks to \(total) bytes, more than a hundred times its own", file: file.name,
        subject: member.name)
    }
  }

  /// A member's bytes, inflated unless they are still there.
  /// - Throws: `ModelError` for damaged data, and as `claim`.
  func bytes(of member: ZipArchive.Member) throws -> FileBytes {
    try claim(member)
    if let known = state.withLock({ $0.recall(member.name) }) { return known }
    guard let compressed = file.slice(member.offset, member.storedSize) else {
      throw ModelError(.malformed, "its data reaches beyond the end of the file", file: file.name, subject: member.name)
    }
    var output = [UInt8](repeating: 0, count: member.size)
    guard output.withUnsafeMutableBytes({ Self.inflate(compressed, into: $0) }) else {
      throw ModelError(.malformed, "its compressed data is damaged", file: file.name, subject: member.name)
    }
    let bytes = FileBytes(name: file.name, copying: output)
    state.withLock { $0.keep(bytes, member.name) }
    return bytes
  }

  private static func inflate(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
    var stream = z_stream()
    // Negative window bits: raw deflate data, without zlib's own header.
    guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return false }
    defer { inflateEnd(&stream) }
    var (read, written) = (0, 0)
    while true {
      let (available, room) = (min(input.count - read, 1 << 30), min(output.count - written, 1 << 30))
      stream.next_in = input.baseAddress.map {
        UnsafeMutablePointer(mutating: ($0 + read).assumingMemoryBound(to: UInt8.self))
      }
      stream.avail_in = UInt32(available)
      var spare: UInt8 = 0
      let status = withUnsafeMutablePointer(to: &spare) { sink in
        // An empty output still needs room for zlib to report the end.
        stream.next_out = room > 0 ? (output.baseAddress! + written).assumingMemoryBound(to: UInt8.self) : sink
        stream.avail_out = UInt32(max(room, 1))
        return CZlib.inflate(&stream, Z_NO_FLUSH)
      }
      read += available - Int(stream.avail_in)
      let produced = max(room, 1) - Int(stream.avail_out)
      guard produced <= room else { return false }
      written += produced
      if status == Z_STREAM_END { return written == output.count }
      guard status == Z_OK, produced > 0 || available > Int(stream.avail_in) else { return false }
    }
  }
}

extension InflatedMembers.State {
  fileprivate mutating func recall(_ name: String) -> FileBytes? {
    guard let bytes = kept.removeValue(forKey: name) else { return nil }
    kept[name] = bytes
    return bytes
  }

  fileprivate mutating func keep(_ bytes: FileBytes, _ name: String) {
    guard kept.updateValue(bytes, forKey: name) == nil else { return }
    keptBytes += bytes.count
    while keptBytes > InflatedMembers.keepLimit, kept.count > 1 { keptBytes -= kept.removeFirst().value.count }
  }
}
