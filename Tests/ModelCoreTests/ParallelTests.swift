import ModelCore
import Synchronization
import Testing

@Suite struct ParallelTests {
  private struct Failure: Error, Equatable { let index: Int }

  @Test(arguments: [0, 1, 2, 3, 8, 100])
  func everyIndexComesOnce(threads: Int) {
    for count in [0, 1, 2, 7, 1009] {
      let visits = Mutex([Int](repeating: 0, count: count))
      Parallel.$threadCount.withValue(threads) {
        Parallel.forEach(count) { index in visits.withLock { $0[index] += 1 } }
      }
      #expect(visits.withLock { $0 } == [Int](repeating: 1, count: count))
    }
  }

  @Test(arguments: [1, 4])
  func elementsAreChangedInPlace(threads: Int) throws {
    var numbers = Array(0..<1009)
    try Parallel.$threadCount.withValue(threads) { try Parallel.update(&numbers) { $0 *= 2 } }
    #expect(numbers == (0..<1009).map { $0 * 2 })
    var none: [Int] = []
    try Parallel.update(&none) { $0 += 1 }
    #expect(none.isEmpty)
  }

  @Test(arguments: [1, 4])
  func theFirstElementsErrorIsThrownAfterAllAreDone(threads: Int) {
    var numbers = Array(0..<100)
    #expect(throws: Failure(index: 13)) {
      try Parallel.$threadCount.withValue(threads) {
        try Parallel.update(&numbers) { number in
          let index = number
          number += 1000
          if index % 10 == 3, index > 3 { throw Failure(index: index) }
        }
      }
    }
    #expect(numbers == (1000..<1100).map { $0 })
  }

  @Test func aCallInsideACallWorks() {
    let sum = Mutex(0)
    Parallel.$threadCount.withValue(4) {
      Parallel.forEach(5) { outer in
        Parallel.forEach(7) { inner in sum.withLock { $0 += outer * inner } }
      }
    }
    #expect(sum.withLock { $0 } == 10 * 21)
  }
}
