import ModelCore
import ModelRandom
import TestSupport
import Testing

@Suite struct MersenneTwisterTests {
  /// The first outputs that the algorithm's authors publish for init_by_array({0x123, 0x234, 0x345, 0x456}).
  @Test func key() {
    var twister = MersenneTwister(key: [0x123, 0x234, 0x345, 0x456])
    #expect(
      (0..<5).map { _ in twister.next32() } == [1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476])
    #expect(MersenneTwister(key: []) == MersenneTwister(key: [0]))
  }

  /// A key longer than the state: random.seed(int.from_bytes of 700 words, 'little'), whose word i is i + 1.
  @Test func aLongKey() {
    var twister = MersenneTwister(key: (1...700).map { UInt32($0) })
    #expect((0..<3).map { _ in twister.next32() } == [1_434_167_400, 83_764_642, 1_980_819_017])
  }

  /// init_genrand(5489), the algorithm's default seed: its 10000th output is published.
  @Test func theTenThousandth() {
    var twister = MersenneTwister(seed: 5489)
    for _ in 1..<10000 { _ = twister.next32() }
    #expect(twister.next32() == 4_123_659_995)
  }

  @Test func savedStates() throws {
    var twister = MersenneTwister(seed: 1)
    for _ in 0..<1000 { _ = twister.next64() }
    var other = try MersenneTwister(words: twister.words, position: twister.position)
    #expect((0..<700).allSatisfy { _ in twister.next64() == other.next64() })
    for position in [-1, 625] {
      #expect(
        refusal { _ = try MersenneTwister(words: twister.words, position: position) }
          == "the position \(position) in a Mersenne Twister's words is not 0 to 624")
    }
    #expect(
      refusal { _ = try MersenneTwister(words: [], position: 0) } == "a Mersenne Twister has 624 words, not 0")
  }
}
