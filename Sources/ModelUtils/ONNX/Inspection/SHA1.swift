/// The digest that external data may carry: to find damage, not to prove who made it.
struct SHA1 {
  private var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]

  /// The digest of bytes in hexadecimal.
  static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
    var digest = SHA1()
    let whole = bytes.count / 64 * 64
    for start in stride(from: 0, to: whole, by: 64) {
      digest.add(UnsafeRawBufferPointer(rebasing: bytes[start..<start + 64]))
    }
    var rest = Array(bytes[whole...]) + [0x80]
    while rest.count % 64 != 56 { rest.append(0) }
    rest += withUnsafeBytes(of: (UInt64(bytes.count) * 8).bigEndian, Array.init)
    rest.withUnsafeBytes { rest in
      for start in stride(from: 0, to: rest.count, by: 64) {
        digest.add(UnsafeRawBufferPointer(rebasing: rest[start..<start + 64]))
      }
    }
    return digest.state.map { word in
      let text = String(word, radix: 16)
      return String(repeating: "0", count: 8 - text.count) + text
    }.joined()
  }

  private mutating func add(_ block: UnsafeRawBufferPointer) {
    func rotated(_ value: UInt32, _ bits: UInt32) -> UInt32 { value << bits | value >> (32 - bits) }
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 80) { words in
      for index in 0..<16 {
        words[index] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      }
      for index in 16..<80 {
        words[index] = rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1)
      }
      var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
      for index in 0..<80 {
        let (mixed, constant): (UInt32, UInt32) =
          switch index / 20 {
          case 0: (b & c | ~b & d, 0x5a82_7999)
          case 1: (b ^ c ^ d, 0x6ed9_eba1)
          case 2: (b & c | b & d | c & d, 0x8f1b_bcdc)
          default: (b ^ c ^ d, 0xca62_c1d6)
          }
        (a, b, c, d, e) = (rotated(a, 5) &+ mixed &+ e &+ constant &+ words[index], a, rotated(b, 30), c, d)
      }
      for (index, value) in [a, b, c, d, e].enumerated() { state[index] = state[index] &+ value }
    }
  }
}
