import ModelCore

extension Forward {
  /// MNASNet. The wider stems of its version 1 are other layers, not another forward.
  static let torchvisionMNASNet: [String: Forward] = [
    "torchvision.models.mnasnet.MNASNet": Forward { net, x in
      try net(net.mean(net(x, "layers"), axes: [2, 3]), "classifier")
    },
    "torchvision.models.mnasnet._InvertedResidual": .residual("layers", if: "apply_residual"),
  ]
}
