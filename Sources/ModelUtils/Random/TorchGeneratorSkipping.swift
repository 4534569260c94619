import CKernels
import ModelCore

extension TorchGenerator {
  /// Goes past 32-bit draws that nobody needs: the values of a parameter that is initialised again.
  package mutating func skip(_ count: Int) {
    guard count > 0 else { return }
    draw { twister in
      var left = count
      while left > MersenneTwister.wordCount - twister.pointee.used {
        left -= MersenneTwister.wordCount - twister.pointee.used
        mk_twister_refill(twister.pointee.words)
        twister.pointee.used = 0
      }
      twister.pointee.used += left
    }
  }
}
