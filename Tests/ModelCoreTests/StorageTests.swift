import ModelCore
import Synchronization
import Testing

@Suite struct StorageTests {
  @Test(arguments: [0, 1, 7, 64, 1009])
  func memoryIsZeroed(count: Int) throws {
    let storage = try Storage(byteCount: count)
    #expect(try storage.withUnsafeBytes { Array($0) } == [UInt8](repeating: 0, count: count))
  }

  @Test func memoryIsAlignedToACacheLine() throws {
    let storage = try Storage(byteCount: 3)
    #expect(try storage.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) % 64 } == 0)
  }

  @Test func anErrorOfTheFillerComesThrough() {
    struct Stop: Error {}
    #expect(throws: Stop.self) { try Storage(byteCount: 8) { _ in throw Stop() } }
  }

  @Test func aPartOfAFile() throws {
    let file = FileBytes(name: "bytes", copying: [1, 2, 3, 4, 5])
    let part = try #require(Storage(file, offset: 1, byteCount: 3))
    #expect(part.byteCount == 3)
    #expect(try part.withUnsafeBytes { Array($0) } == [2, 3, 4])
    #expect(try #require(Storage(file, offset: 5, byteCount: 0)).byteCount == 0)
    for (offset, count) in [(-1, 1), (0, 6), (5, 1), (6, 0), (0, -1), (Int.max, 1), (1, Int.max)] {
      #expect(Storage(file, offset: offset, byteCount: count) == nil, "\(offset) \(count)")
    }
  }

  @Test func theFileLivesAsLongAsItsParts() throws {
    var file: FileBytes? = FileBytes(name: "bytes", copying: [7, 8, 9])
    weak let observed = file
    var part = Storage(file!, offset: 1, byteCount: 2)
    file = nil
    #expect(observed != nil)
    #expect(try part?.withUnsafeBytes { Array($0) } == [8, 9])
    part = nil
    #expect(observed == nil)
  }

  @Test func computedBytesAreComputedAtEachReading() throws {
    let calls = Mutex(0)
    let storage = try Storage(computed: 2) { bytes in
      let call = calls.withLock {
        $0 += 1
        return $0
      }
      bytes.copyBytes(from: [UInt8(call), 9])
    }
    #expect(calls.withLock { $0 } == 0)
    #expect(try storage.withUnsafeBytes { Array($0) } == [1, 9])
    #expect(try storage.withUnsafeBytes { Array($0) } == [2, 9])
  }

  /// Sizes below 0 once passed the check for sizes that are too large, and the bytes lay outside the memory.
  @Test func sizesThatNoMemoryHas() {
    func reason(_ body: () throws -> Void) -> String? {
      do { try body() } catch { return (error as? ModelError)?.reason }
      return nil
    }
    for size in [-1, -64, Int.min] {
      #expect(reason { _ = try Storage(byteCount: size) } == "a storage cannot have \(size) bytes")
      #expect(reason { _ = try Storage(byteCount: size) { _ in } } == "a storage cannot have \(size) bytes")
      #expect(reason { _ = try Storage(computed: size) { _ in } } == "a storage cannot have \(size) bytes")
    }
    let large = "\(Int.max) bytes do not fit in this machine's memory"
    #expect(reason { _ = try Storage(byteCount: Int.max) } == large)
    // A computed storage may be larger than memory until it is read as a whole.
    let huge = try? Storage(computed: Int.max) { _ in }
    #expect(huge?.byteCount == Int.max)
    #expect(reason { try huge?.withUnsafeBytes { _ in } } == large)
    #expect(reason { _ = try huge.map { try ContiguousBytes($0) } } == large)
    for (count, size) in [(-1, 4), (4, -1), (Int.max, 2), (Int.min, Int.min)] {
      #expect(
        reason { try Storage.checkMemory(count, elementSize: size) }
          == "\(count) elements of \(size) bytes do not fit in this machine's memory")
    }
    for shape in [[-1], [Int.max, 2], [Int.max / 2], [-1, -1], [0, -1], [Int.min]] {
      #expect(throws: ModelError.self) { try Tensor(.float32, shape) }
      #expect(throws: ModelError.self) { try Tensor(computed: .float32, shape) { _ in } }
    }
  }

  @Test func deferredBytesAreOpenedAtEachReading() throws {
    let opened = Mutex(0)
    let storage = try Storage(deferred: 3) {
      opened.withLock { $0 += 1 }
      return FileBytes(name: "bytes", copying: [4, 5, 6])
    }
    #expect(opened.withLock { $0 } == 0)
    #expect(try storage.withUnsafeBytes { Array($0) } == [4, 5, 6])
    let held = try ContiguousBytes(storage)
    #expect(withExtendedLifetime(held) { Array($0.bytes) } == [4, 5, 6])
    #expect(opened.withLock { $0 } == 2)
    let short = try Storage(deferred: 4) { FileBytes(name: "bytes", copying: [4, 5, 6]) }
    #expect(throws: ModelError(.malformed, "gave 3 bytes for a storage of 4", file: "bytes")) {
      try short.withUnsafeBytes { _ in }
    }
  }
}
