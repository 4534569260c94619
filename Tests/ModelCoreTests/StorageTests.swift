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
    let storage = Storage(computed: 2) { bytes in
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
}
