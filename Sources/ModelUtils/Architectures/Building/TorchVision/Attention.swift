import ModelCore
import ModelRandom

/// What torchvision's transformers have in common.
extension ModuleBuilder {
  /// Two fully connected layers with four times as many features between them, a GELU, and dropouts of nothing.
  func transformerMLP(_ width: Int, _ className: ClassName) -> Module {
    let (first, second) = (linear(width, 4 * width), linear(4 * width, width))
    for layer in [first, second] {
      guard let weight = layer.parameters["weight"] else { continue }
      let fans = Fans(weight.tensor.shape)
      set(weight, to: .uniform(bound: 3.0.squareRoot() * (2 / Double(fans.input + fans.output)).squareRoot()))
      set(layer.parameters["bias"], to: .normal(standardDeviation: 1e-6))
    }
    return module(className, Self.numbered([first, activation(.gelu), dropout(0), second, dropout(0)]))
  }

  /// A bias for each distance of two positions in a window and each head. It is truncated at 100 deviations, where
  /// nothing is drawn.
  func relativePositionBiases(window: Int, heads: Int) -> Parameter {
    parameter([(2 * window - 1) * (2 * window - 1), heads], .normal(standardDeviation: 0.02))
  }

  /// Where in such a table the bias of two positions stands: [window² · window²], or with two axes a row for each
  /// position.
  func relativePositions(window: Int, axes: Int) -> Tensor {
    let length = window * window
    return tensor(.int64, axes == 1 ? [length * length] : [length, length]) { bytes in
      let index = bytes.bindMemory(to: Int64.self)
      for first in 0..<length {
        for second in 0..<length {
          let rows = first / window - second / window + window - 1
          let columns = first % window - second % window + window - 1
          index[first * length + second] = Int64(rows * (2 * window - 1) + columns)
        }
      }
    }
  }
}
