import CZlib
import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Deflated storages are inflated when they are read, and an archive has one budget for all of them.
@Suite struct InflatedMembersTests {
  /// Raw deflate data of so many equal bytes.
  private func deflated(_ byte: UInt8, count: Int) throws -> [UInt8] {
    var stream = z_stream()
    try #require(
      deflateInit2_(
        &stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
    defer { deflateEnd(&stream) }
    var input = [UInt8](repeating: byte, count: count)
    var output = [UInt8](repeating: 0, count: count / 500 + 1000)
    let status = input.withUnsafeMutableBufferPointer { source in
      output.withUnsafeMutableBufferPointer { target in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        stream.next_out = target.baseAddress
        stream.avail_out = UInt32(target.count)
        return deflate(&stream, Z_FINISH)
      }
    }
    try #require(status == Z_STREAM_END)
    return Array(output.prefix(Int(stream.total_out)))
  }

  /// A state dict of as many storages as there are data, each of `count` bytes.
  private func archive(_ data: [[UInt8]], count: Int) -> FileBytes {
    var zip = ZipBytes()
    let entries = data.indices.map { index in
      ("t\(index)", Pickled.tensor("torch.ByteStorage", key: "\(index)", count: count, shape: [count]))
    }
    zip.add("archive/data.pkl", Pickled.file(Pickled.dict(entries)))
    for (index, data) in data.enumerated() { zip.add("archive/data/\(index)", data, method: 8, size: count) }
    return FileBytes(name: "deflated.pt", copying: zip.finished())
  }

  @Test func storagesAreInflatedWhenTheyAreRead() throws {
    let count = 1000
    let state = try Checkpoint(archive([try deflated(7, count: count), [0xff, 0xff]], count: count)).preferred
      .stateDict()
    // The damage of one is met when that one is read, again and again.
    for _ in 0..<2 {
      #expect(try state["t0"]?.bytes() == [UInt8](repeating: 7, count: count))
      #expect(
        refusal { _ = try state["t1"]?.bytes() } == "deflated.pt: archive/data/1: its compressed data is damaged")
    }
  }

  /// Fuzzing found that a damaged member kept an audit from telling of the others.
  @Test func anAuditGoesOnBehindDamage() throws {
    let audit = try PickleAudit(archive([[0xff, 0xff], try deflated(7, count: 1000)], count: 1000))
    #expect(audit.pickles == 1 && audit.verdict == .suspicious)
    #expect(audit.findings.contains { $0.place == "archive/data/0" && $0.what == "its compressed data is damaged" })
    var zip = ZipBytes()
    zip.add("archive/data.pkl", [0xff, 0xff], method: 8, size: 20)
    #expect(
      refusal { _ = try PickleAudit(FileBytes(name: "a.pt", copying: zip.finished())) }
        == "a.pt: archive/data.pkl: its compressed data is damaged")
  }

  /// Each alone would be allowed.
  @Test func allStoragesShareOneBudget() throws {
    let count = 16 << 20
    let data = try deflated(0, count: count)
    let state = try Checkpoint(archive([[UInt8]](repeating: data, count: 3), count: count)).preferred.stateDict()
    #expect(state.count == 3)
    #expect(try state["t2"]?.bytes().count == count)
    #expect(
      refusal { _ = try Checkpoint(archive([[UInt8]](repeating: data, count: 50), count: count)) }
        == "deflated.pt: archive/data/4: with it the archive unpacks to 83886080 bytes, more than a hundred times its "
        + "own")
  }

  /// More than is kept at once: what was let go is inflated again.
  @Test func whatIsLetGoComesBack() throws {
    let count = 90 << 20
    let data = try (1...4).map { try deflated(UInt8($0), count: count) }
    // Stored bytes make room in the budget.
    var zip = ZipBytes()
    zip.add("archive/filler", [UInt8](repeating: 0, count: 4 << 20))
    let entries = data.indices.map { index in
      ("t\(index)", Pickled.tensor("torch.ByteStorage", key: "\(index)", count: count, shape: [count]))
    }
    zip.add("archive/data.pkl", Pickled.file(Pickled.dict(entries)))
    for (index, data) in data.enumerated() { zip.add("archive/data/\(index)", data, method: 8, size: count) }
    let state = try Checkpoint(FileBytes(name: "large.pt", copying: zip.finished())).preferred.stateDict()
    for index in [0, 1, 2, 3, 0, 3] {
      let ends = try state["t\(index)"]?.withContiguousBytes { [$0.first, $0.last] }
      #expect(ends == [UInt8(index + 1), UInt8(index + 1)])
    }
  }

  /// Every dot of a name ends the path of a module.
  @Test func namesWhosePathsWouldFillTheMemory() throws {
    let part = String(repeating: "x", count: 430)
    let tail = [String](repeating: part, count: 254).joined(separator: ".")
    func file(_ count: Int) -> FileBytes {
      let tensor = Pickled.tensor(key: "0", count: 1, shape: [1])
      let entries = (0..<count).map { ("m\($0).\(tail)", tensor) }
      return Pickled.archive(Pickled.file(Pickled.dict(entries)), ["0": [0, 0, 0, 0]])
    }
    #expect(try Checkpoint(file(19)).preferred.stateDict().count == 19)
    let message = try #require(refusal { _ = try Checkpoint(file(20)) })
    #expect(message.hasPrefix("test.pt: m19.xxx"))
    #expect(
      message.hasSuffix(
        "…: the names of its tensors are so long and deep that the paths of their modules take more than 268435456 "
          + "bytes"))
  }
}
