import CKernels
import TestSupport
import Testing

extension Kernels {
  @Suite struct OptimizerKernelTests {
    private static var rules: [mk_optimizer] {
      var rules: [mk_optimizer] = []
      for (rule, average) in [
        (MK_SGD, MK_AVERAGE_NONE), (MK_ADAM, MK_AVERAGE_MIX), (MK_RMSPROP, MK_AVERAGE_LERP), (MK_ADAM, MK_AVERAGE_NONE),
      ] {
        for flag in [false, true] {
          var optimizer = mk_optimizer()
          (optimizer.rule, optimizer.average) = (rule, average)
          (optimizer.nesterov, optimizer.is_decoupled, optimizer.maximize) = (flag, flag, flag)
          (optimizer.zeroes_gradient, optimizer.is_first) = (flag, flag)
          (optimizer.learning_rate, optimizer.weight_decay, optimizer.momentum) = (0.013, flag ? 0.01 : 0, 0.9)
          (optimizer.beta1, optimizer.beta2, optimizer.alpha, optimizer.eps) = (flag ? 0.4 : 0.9, 0.99, 0.97, 1e-8)
          (optimizer.first_correction, optimizer.second_correction) = (0.1, 0.3)
          (optimizer.gradient_scale, optimizer.gradient_limit) = (flag ? 0.7 : 1, flag ? 0.9 : .infinity)
          (optimizer.average_keep, optimizer.average_weight) = (0.75, 0.25)
          rules.append(optimizer)
        }
      }
      return rules
    }

    /// Every array at an address of its own alignment; nothing is written beyond it.
    @Test(arguments: [MK_FLOAT32, MK_FLOAT64]) func levelsAgree(type: mk_float) {
      let format = Format(type)
      for count in [0, 1, 7, 17, 65, 1009, 2051] {
        // The states are running means of squares: not below 0.
        let sources = (0..<6).map { place in
          format.write(format.weights(count, seed: place + count).map { place > 1 ? $0 & ~format.signBit : $0 })
        }
        for (index, rule) in Self.rules.enumerated() {
          let places = rule.rule == MK_SGD ? 1 : 3
          let result = atEveryLevel("rule \(index), \(count) elements") { () -> [[UInt8]] in
            let memory = sources.enumerated().map { Memory($1, offset: $0) }
            let states = (0..<3).map { $0 < places ? memory[2 + $0].pointer : nil }
            withUnsafePointer(to: rule) {
              mk_optimize(memory[0].pointer, memory[1].pointer, states, memory[5].pointer, count, type, $0)
            }
            for one in memory { #expect(one.isFenced) }
            return memory.map(\.bytes)
          }
          if rule.zeroes_gradient {
            #expect(result[1].allSatisfy { $0 == 0 })
          } else {
            #expect(result[1] == sources[1])
          }
          #expect(count == 0 || result[0] != sources[0])
          #expect(rule.average != MK_AVERAGE_NONE || result[5] == sources[5])
        }
      }
    }
  }
}
