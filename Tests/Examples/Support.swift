import Foundation
import ModelUtils

/// A folder that is gone when `body` is left.
func withFolder<R>(_ body: (String) throws -> R) throws -> R {
  let folder = FileManager.default.temporaryDirectory.appending(path: "modelutils-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path(percentEncoded: false))
}

/// A convolution, its batch norm, a ReLU and a classifier.
func smallNet() throws -> Module {
  var generator = TorchGenerator(seed: 0)
  var net = try Module.sequential([
    .conv2d(3, 4, kernelSize: 3, padding: 1, bias: false, using: &generator), .batchNorm2d(4), .relu(),
    .adaptiveAvgPool2d(1), .flatten(), .linear(4, 2, using: &generator),
  ])
  try net.children["1"]?.buffers["running_mean"]?.constant(0.25)
  return net
}
