import ModelCore

extension Forward {
  /// Ultralytics' convolution blocks.
  static let ultralyticsConvolutions = ultralytics(
    "conv",
    [
      "Conv": .chain("conv", "bn", "act"),
      "Conv.forward_fuse": .chain("conv", "act"),
      "Conv2": Forward { block, x in
        try block(block.add(block(x, "conv"), block(x, "cv2")), "bn", "act")
      },
      "Conv2.forward_fuse": .chain("conv", "act"),
      "DWConv": .chain("conv", "bn", "act"),
      "DWConv.forward_fuse": .chain("conv", "act"),
      "LightConv": .chain("conv1", "conv2"),
      "DWConvTranspose2d": .ownLayer,
      "ConvTranspose": .chain("conv_transpose", "bn", "act"),
      "ConvTranspose.forward_fuse": .chain("conv_transpose", "act"),
      "Focus": .focus,
      "GhostConv": .ghostConv,
      "RepConv": .repConv,
      "RepConv.forward_fuse": .chain("conv", "act"),
      "ChannelAttention": Forward { try $0.multiply($1, $0($1, "pool", "fc", "act")) },
      "SpatialAttention": Forward { block, x in
        let extremes = try [
          block.mean(x, axes: [1], keepsAxes: true), block.max(x, axis: 1, keepsAxis: true),
        ]
        return try block.multiply(x, block(block.concatenate(extremes), "cv1", "act"))
      },
      "CBAM": .chain("channel_attention", "spatial_attention"),
      "Concat": .list { try $0.concatenate($1, axis: $0.int("d")) },
      "Index": .list { block, inputs in
        let index = try block.int("index")
        let place = index < 0 ? index + inputs.count : index
        guard inputs.indices.contains(place) else {
          throw ModelError(.mismatch, "takes tensor \(index) of \(inputs.count)", subject: block.path)
        }
        return inputs[place]
      },
    ])

  /// The forwards of a file of ultralytics/nn/modules, under its path and under that of the single file of early 8.0.
  static func ultralytics(_ file: String, _ classes: [String: Forward]) -> [String: Forward] {
    classes.reduce(into: [:]) { all, entry in
      all["ultralytics.nn.modules.\(file).\(entry.key)"] = entry.value
      all["ultralytics.nn.modules.\(entry.key)"] = entry.value
    }
  }
}
