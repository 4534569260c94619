import ModelAveraging
import ModelCheckpoints
import ModelCore
import ModelSurgery
import SystemPackage
import TestSupport
import Testing

/// Tensors that are larger than a part, whose new elements are computed part by part while they are written: what is
/// written is what the same does in memory, to the bit.
@Suite struct LargeTensorTests {
  private let folder: TemporaryFolder
  /// Of 84 MB in float16: a part of 64 MB, and one that is no multiple of anything.
  private let weight: Tensor

  init() throws {
    folder = try TemporaryFolder()
    let count = Storage.partSize / 2 + Storage.partSize / 8 + 3
    // Nine magnitudes alone, so that ties reach over the parts.
    weight = try Tensor(.float16, [count, 1, 1, 1]) { bytes in
      let elements = bytes.bindMemory(to: UInt16.self)
      for index in elements.indices {
        let mixed = UInt32(truncatingIfNeeded: index) &* 2_654_435_761
        elements[index] = 0x3c00 + UInt16(mixed >> 20) % 9 + UInt16(mixed >> 31) << 15
      }
    }
    try Checkpoint(StateDict(["c.weight": weight])).write(to: folder["model.safetensors"])
  }

  private func read(_ name: String) throws -> Tensor {
    try #require(try Checkpoint(contentsOf: folder[name]).preferred.stateDict()["c.weight"])
  }

  private func expectSame(_ one: Tensor, _ other: Tensor, _ comment: Comment) throws {
    #expect(one.dtype == other.dtype && one.shape == other.shape, comment)
    let areEqual = try one.withContiguousBytes { one in
      try other.withContiguousBytes { one.count == $0.count && one.elementsEqual($0) }
    }
    #expect(areEqual, comment)
  }

  @Test(arguments: [DType.float16, .float32, .float8E5M2])
  func prunedThenConverted(to dtype: DType) throws {
    var expected = StateDict(["c.weight": weight])
    try expected.prune(amount: 0.37)
    try expected.convert(to: dtype)
    var checkpoint = try Checkpoint(contentsOf: folder["model.safetensors"])
    try checkpoint.preferred.prune(amount: 0.37)
    try checkpoint.preferred.convert(to: dtype)
    for name in ["new.safetensors", "new.pt"] {
      try checkpoint.write(to: folder[name])
      try expectSame(read(name), try #require(expected["c.weight"]), "\(name)")
    }
  }

  @Test func averaged() throws {
    let model = try Checkpoint(contentsOf: folder["model.safetensors"]).preferred
    let other = Model.stateDict(StateDict(["c.weight": try weight.converted(to: .float32)]))
    func average(_ first: Model, _ second: Model) throws -> Tensor {
      var average = try ModelEMA(first, updates: 5000)
      try average.update(second)
      return try #require(average.average.stateDict()["c.weight"])
    }
    let expected = try average(.stateDict(StateDict(["c.weight": weight])), other)
    let streamed = try StreamedAverages.$isOn.withValue(true) { try average(model, other) }
    #expect(streamed.storage !== expected.storage)
    try Checkpoint(StateDict(["c.weight": streamed])).write(to: folder["average.safetensors"])
    try expectSame(read("average.safetensors"), expected, "average")
  }
}
