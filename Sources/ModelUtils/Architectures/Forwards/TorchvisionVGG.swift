import ModelCore

extension Forward {
  /// VGG, with batch norms or without, and AlexNet.
  static let torchvisionVGG: [String: Forward] = [
    "torchvision.models.vgg.VGG": .featuresAndClassifier,
    "torchvision.models.alexnet.AlexNet": .featuresAndClassifier,
  ]
}
