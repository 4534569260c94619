import ModelCore
import Synchronization
import TestSupport
import Testing

@Suite struct WritingProgressTests {
  /// What is said while a file of so many bytes is written in parts.
  private func progress(parts: [Int], expected: Int?) throws -> [WritingProgress] {
    let folder = try TemporaryFolder()
    let seen = Mutex<[WritingProgress]>([])
    let observer = WritingProgress.Observer { progress in seen.withLock { $0.append(progress) } }
    try WritingProgress.$observer.withValue(observer) {
      let file = try AtomicFile(replacing: folder.path.appending("file"), expectedSize: expected)
      for count in parts { try file.write([UInt8](repeating: 1, count: count)) }
      try file.commit()
    }
    return seen.withLock { $0 }
  }

  @Test func grows() throws {
    let seen = try progress(parts: [100_000, 7, 0, 300_000], expected: 400_007)
    #expect(seen.last?.written == 400_007 && seen.allSatisfy { $0.expected == 400_007 })
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.written <= $1.written })
    #expect(seen.allSatisfy { $0.file.hasSuffix("/file") })
  }

  @Test func unknownAndNothing() throws {
    #expect(try progress(parts: [5], expected: nil).last?.expected == nil)
    #expect(try progress(parts: [], expected: 0).allSatisfy { $0.written == 0 })
  }
}
