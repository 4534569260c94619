/// The seeds of samples' own generators.
enum SampleSeed {
  /// A seed, an epoch and a place, mixed so that neighbours have nothing in common: 32 bits.
  static func mixed(_ seed: UInt64, epoch: Int, place: Int) -> UInt64 {
    var mixed = seed
    for word in [UInt64(bitPattern: Int64(epoch)), UInt64(bitPattern: Int64(place))] {
      mixed = (mixed ^ word) &+ 0x9e37_79b9_7f4a_7c15
      mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
      mixed ^= mixed >> 31
    }
    return mixed & 0xffff_ffff
  }
}
