import ModelCore
import ModelGraph

extension Forward {
  /// ShuffleNet V2.
  static let torchvisionShuffleNet: [String: Forward] = [
    "torchvision.models.shufflenetv2.ShuffleNetV2": Forward { net, x in
      let features = try net(x, "conv1", "maxpool", "stage2", "stage3", "stage4", "conv5")
      return try net(net.mean(features, axes: [2, 3]), "fc")
    },
    "torchvision.models.shufflenetv2.InvertedResidual": Forward { block, x in
      guard try block.int("stride") == 1 else {
        return try block.shuffle(block.concatenate([block(x, "branch1"), block(x, "branch2")]))
      }
      let halves = try block.chunks(x, 2)
      return try block.shuffle(block.concatenate([halves[0], block(halves[1], "branch2")]))
    },
  ]
}

extension ForwardCall {
  /// Channels 0, c/2, 1, c/2 + 1, …: as many from one half as from the other, in turn.
  fileprivate func shuffle(_ x: Value) throws -> Value {
    let halves = try reshape(
      x,
      [
        .of(operand: 0, axis: 0), .fixed(2), .of(operand: 0, axis: 1, divisor: 2), .of(operand: 0, axis: 2),
        .of(operand: 0, axis: 3),
      ])
    return try reshape(
      permute(halves, [0, 2, 1, 3, 4]),
      [
        .of(operand: 0, axis: 0), .of(operand: 0, axis: 1, multiple: 2), .of(operand: 0, axis: 3),
        .of(operand: 0, axis: 4),
      ])
  }
}
