import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Damaged files of the originals: an error of one line or an answer, never a trap.
@Suite struct HostileFileTests {
  /// Reads everything of a file, lays it out for writing, and gives the error's line.
  private func outcome(_ bytes: [UInt8]) -> String? {
    refusal {
      let checkpoint = try Checkpoint(FileBytes(name: "damaged.pt", copying: bytes))
      for model in checkpoint.models.values {
        model.module?.forEachModule { _, _ in }
        for tensor in model.stateDict().tensors.values where tensor.byteCount < 1 << 24 { _ = try tensor.bytes() }
      }
      _ = PickleWriter.write(try TorchFile(FileBytes(name: "damaged.pt", copying: bytes)).graph) { _ in 0 }
    }
  }

  private func expectOneLine(_ message: String?, _ what: String) {
    guard let message else { return }
    #expect(message.hasPrefix("damaged.pt: "), "\(what): \(message)")
    #expect(!message.contains { $0.isNewline }, "\(what)")
    #expect(message.utf8.count < 2000, "\(what)")
  }

  @Test(arguments: ["protocol2.pt", "legacy.pt", "float8.pt"])
  func truncationAtEveryByte(file: String) throws {
    let bytes = try TorchFixtures.bytes(file)
    for length in 0..<bytes.count {
      let message = outcome(Array(bytes[..<length]))
      expectOneLine(message, "\(file) cut at \(length)")
      #expect(message != nil, "\(file) cut at \(length) was read")
    }
    #expect(outcome(bytes) == nil)
  }

  @Test(arguments: ["legacy_module.pt", "torchscript.pt", "yolov5_tiny_fused.pt", "training_checkpoint.pt"])
  func truncationAtManyBytes(file: String) throws {
    let bytes = try TorchFixtures.bytes(file)
    for length in stride(from: 0, to: bytes.count, by: 97) {
      let message = outcome(Array(bytes[..<length]))
      expectOneLine(message, "\(file) cut at \(length)")
      #expect(message != nil, "\(file) cut at \(length) was read")
    }
  }

  /// Where a flip is not noticed the answer is read all the same, with a changed value or name.
  @Test(arguments: [
    "protocol0.pt", "protocol5.pt", "legacy.pt", "legacy_module.pt", "trap_conv_twice.pt", "torchscript.pt",
  ])
  func flippedBits(file: String) throws {
    let bytes = try TorchFixtures.bytes(file)
    var generator = Generator(UInt64(bytes.count))
    for round in 0..<1000 {
      var damaged = bytes
      for _ in 0...(round % 3) {
        damaged[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      }
      expectOneLine(outcome(damaged), "\(file), round \(round)")
    }
  }

  /// Bytes of one place put into another: lengths, opcodes and offsets that are plausible elsewhere.
  @Test(arguments: ["protocol3.pt", "legacy.pt", "yolov5_tiny_fused.pt"])
  func movedBytes(file: String) throws {
    let bytes = try TorchFixtures.bytes(file)
    var generator = Generator(7)
    for round in 0..<500 {
      var damaged = bytes
      let length = Int.random(in: 1...12, using: &generator)
      let (from, to) = (
        Int.random(in: 0...(bytes.count - length), using: &generator),
        Int.random(in: 0...(bytes.count - length), using: &generator)
      )
      damaged.replaceSubrange(to..<to + length, with: bytes[from..<from + length])
      expectOneLine(outcome(damaged), "\(file), round \(round)")
    }
  }

  @Test func bytesBehindALegacyFileAreNotRead() throws {
    #expect(outcome(try TorchFixtures.bytes("legacy.pt") + [1, 2, 3]) == nil)
  }

  @Test func namesInMessagesStayOnOneLine() throws {
    let name = "a\nb\u{1b}[2J"
    let state = Pickled.dict([(name, Pickled.tensor(key: "0", count: 4, shape: [9]))])
    let message = refusal { _ = try Checkpoint(Pickled.file(state, storage: 16)) }
    #expect(message?.contains("a\\u{a}b\\u{1b}[2J: float32 [9]") == true)
  }
}
