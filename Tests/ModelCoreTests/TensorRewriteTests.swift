import ModelCore
import Synchronization
import TestSupport
import Testing

/// Changing elements: what is in place, what is lazy, what stays of the layout.
@Suite struct TensorRewriteTests {
  /// Counts how often it runs.
  private final class Calls: Sendable {
    let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
  }

  /// Negates `count` float32 numbers.
  private func negate(_ count: Int, _ calls: Calls = Calls())
    -> @Sendable (UnsafeMutableRawPointer, UnsafeRawPointer) -> Void
  {
    { destination, source in
      calls.count.withLock { $0 += 1 }
      for index in 0..<count {
        let value = source.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
        destination.storeBytes(of: -value, toByteOffset: 4 * index, as: Float.self)
      }
    }
  }

  @Test func memoryOfItsOwnChangesInPlace() throws {
    var tensor = try Tensor([1, 2, 3])
    let before = try tensor.address()
    let identity = tensor.identity
    try tensor.rewrite(negate(3))
    #expect(try tensor.doubles() == [-1, -2, -3])
    #expect(try tensor.address() == before)
    #expect(tensor.identity == identity)
  }

  @Test func aCopyKeepsItsValues() throws {
    var tensor = try Tensor([1, 2, 3])
    let copy = tensor
    try tensor.rewrite(negate(3))
    #expect(try tensor.doubles() == [-1, -2, -3])
    #expect(try copy.doubles() == [1, 2, 3])
    #expect(tensor.identity != copy.identity)
  }

  @Test func aViewOfAStorageThatSomebodyElseHoldsIsCopied() throws {
    let numbers = try counting(6)
    var middle = try Tensor(numbers, dtype: .float32, shape: [2], byteOffset: 8)
    try middle.rewrite(negate(2))
    #expect(try middle.doubles() == [-2, -3])
    #expect(try Tensor(numbers, dtype: .float32, shape: [6]).doubles() == [0, 1, 2, 3, 4, 5])
    #expect(middle.storage.byteCount == 8)
    #expect(middle.byteOffset == 0)
  }

  @Test func aPartChangesAlone() throws {
    var part = try Tensor(try counting(6), dtype: .float32, shape: [2], byteOffset: 8)
    try part.rewrite(negate(2))
    #expect(part.byteOffset == 8)
    #expect(try part.doubles() == [-2, -3])
    #expect(try Tensor(part.storage, dtype: .float32, shape: [6]).doubles() == [0, 1, -2, -3, 4, 5])
  }

  @Test func emptyTensorsAreLeftAlone() throws {
    let calls = Calls()
    var empty = try Tensor(.float32, [0, 3])
    try empty.rewrite(negate(0, calls))
    #expect(calls.value == 0)
  }

  @Test func elementsInAFileAreChangedWhenTheyAreRead() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(try Tensor([1, 2, 3]).bytes(), to: "numbers")
    let file = try FileBytes(mapping: path)
    let calls = Calls()
    var tensor = try Tensor(#require(Storage(file, offset: 0, byteCount: 12)), dtype: .float32, shape: [3])
    try tensor.rewrite(negate(3, calls))
    #expect(calls.value == 0)
    #expect(try tensor.doubles() == [-1, -2, -3])
    #expect(calls.value == 1)
    #expect(try tensor.doubles() == [-1, -2, -3])
    #expect(calls.value == 2)
    // Twice is one after the other, and a copy in memory computes no more.
    try tensor.rewrite(negate(3))
    let own = try tensor.materialized()
    #expect(calls.value == 3)
    #expect(try own.doubles() == [1, 2, 3])
    #expect(calls.value == 3)
    #expect(Array(file.bytes) == (try Tensor([1, 2, 3]).bytes()))
  }

  @Test func aTransposedTensorStaysTransposed() throws {
    for isShared in [false, true] {
      let numbers = try counting(6)
      var turned = try Tensor(numbers, dtype: .float32, shape: [3, 2], strides: [1, 3])
      let witness = isShared ? numbers : nil
      try turned.rewrite(negate(6))
      #expect(turned.strides == [1, 3])
      #expect(try turned.doubles() == [0, -3, -1, -4, -2, -5])
      #expect(try Tensor(turned.storage, dtype: .float32, shape: [6]).doubles() == [0, -1, -2, -3, -4, -5])
      if let witness {
        #expect(try Tensor(witness, dtype: .float32, shape: [6]).doubles() == [0, 1, 2, 3, 4, 5])
      }
    }
  }

  @Test(arguments: [true, false])
  func channelsLastStays(isOwned: Bool) throws {
    // [2, 4, 3, 3] in channels_last: strides [36, 1, 12, 4].
    let numbers =
      isOwned
      ? try counting(72)
      : try Storage(computed: 288) { $0.copyBytes(from: try Tensor((0..<72).map(Float.init)).bytes()) }
    var tensor = try Tensor(numbers, dtype: .float32, shape: [2, 4, 3, 3], strides: [36, 1, 12, 4])
    let before = try tensor.doubles()
    try tensor.rewrite(negate(72))
    #expect(tensor.strides == [36, 1, 12, 4])
    #expect(try tensor.doubles() == before.map { -$0 })
    #expect(try Tensor(tensor.storage, dtype: .float32, shape: [72]).doubles() == (0..<72).map { -Double($0) })
  }

  @Test func gapsAndExpandedAxesAreDropped() throws {
    var sparse = try Tensor(counting(9), dtype: .float32, shape: [3], strides: [3])
    try sparse.rewrite(negate(3))
    #expect(sparse.strides == [1])
    #expect(try sparse.doubles() == [0, -3, -6])
    #expect(sparse.storage.byteCount == 12)
    var expanded = try Tensor(storage([1, 2]), dtype: .float32, shape: [2, 3], strides: [1, 0])
    try expanded.rewrite(negate(6))
    #expect(expanded.strides == [3, 1])
    #expect(try expanded.doubles() == [-1, -1, -1, -2, -2, -2])
  }

  @Test func anErrorLeavesTheTensorAsItWas() throws {
    struct Stop: Error {}
    let broken = try Storage(computed: 12) { _ in throw Stop() }
    var tensor = try Tensor(broken, dtype: .float32, shape: [3])
    // Nothing is read yet, so nothing fails yet.
    try tensor.rewrite(negate(3))
    #expect(throws: Stop.self) { try tensor.doubles() }
  }
}
