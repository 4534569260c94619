import TestSupport
import Testing

@testable import ModelEngine

@Suite struct ArenaTests {
  @Test(arguments: 0..<50) func buffersInUseAtOnceLieApart(seed: Int) {
    var generator = Generator(seed)
    let buffers = (0..<60).map { _ -> (bytes: Int, first: Int, last: Int) in
      let first = Int.random(in: -1..<40, using: &generator)
      // As a network's: most are used soon, few much later.
      let length = Bool.random(using: &generator) ? 1 : Int.random(in: 0..<20, using: &generator)
      return (Int.random(in: 0..<100, using: &generator) * 64, first, first + length)
    }
    let (offsets, total) = Arena.offsets(buffers)
    for (a, first) in buffers.enumerated() {
      #expect(offsets[a] % Arena.alignment == 0 && offsets[a] + first.bytes <= total)
      for (b, second) in buffers.enumerated().dropFirst(a + 1)
      where first.first <= second.last && second.first <= first.last {
        #expect(offsets[a] + first.bytes <= offsets[b] || offsets[b] + second.bytes <= offsets[a])
      }
    }
    let least = Arena.most(buffers)
    #expect(total >= least && Double(total) <= 1.25 * Double(least))
  }

  @Test func few() {
    #expect(Arena.offsets([]).total == 0)
    #expect(Arena.offsets([(1, 0, 3), (100, 1, 2), (64, 3, 4)]).offsets == [128, 0, 0])
    #expect(Arena.most([(1, 0, 3), (100, 1, 2), (64, 3, 4)]) == 101)
    #expect(Arena.most([]) == 0)
  }
}
