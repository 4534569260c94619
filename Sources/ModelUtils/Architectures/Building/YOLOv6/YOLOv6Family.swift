/// YOLOv6's own models, as release 0.4 configures them.
enum YOLOv6Family {
  static let architectures: [Architecture] =
    networks.map { name, network in Architecture(name, classes: 80) { network.build($0, classes: $1) } }
    + lite.map { name, network in Architecture(name, classes: 80) { network.build($0, classes: $1) } }

  private static let networks: [(name: String, network: YOLOv6Network)] = [
    ("yolov6n", nano), ("yolov6s", small), ("yolov6m", medium), ("yolov6l", large),
    ("yolov6n6", with(nano) { $0.isLarge = true }), ("yolov6s6", with(small) { $0.isLarge = true }),
    ("yolov6m6", with(medium) { $0.isLarge = true }), ("yolov6l6", with(large) { $0.isLarge = true }),
    ("yolov6n_base", with(nano) { ($0.mode, $0.predictsDistributions) = (.convolutionReLU, true) }),
    ("yolov6s_base", base(depth: 0.7, width: 0.5, poolsBesides: true)),
    ("yolov6m_base", base(depth: 0.8, width: 0.75)), ("yolov6l_base", base(depth: 1, width: 1)),
    ("yolov6n_qa", with(nano) { $0.mode = .qarepvggv2 }), ("yolov6s_qa", with(small) { $0.mode = .qarepvggv2 }),
    ("yolov6m_qa", with(medium) { $0.mode = .qarepvggv2 }),
    ("yolov6s_mbla", layered(depth: 0.5, width: 0.5)), ("yolov6m_mbla", layered(depth: 0.5, width: 0.75)),
    ("yolov6l_mbla", layered(depth: 0.5, width: 1)), ("yolov6x_mbla", layered(depth: 1, width: 1)),
    ("yolov6n_opt", optimized(width: 0.25, .repopt)), ("yolov6_tiny_opt", optimized(width: 0.375, .repopt)),
    ("yolov6s_opt", optimized(width: 0.5, .repopt)), ("yolov6n_hs", optimized(width: 0.25, .hyperSearch)),
    ("yolov6_tiny_hs", optimized(width: 0.375, .hyperSearch)), ("yolov6s_hs", optimized(width: 0.5, .hyperSearch)),
  ]

  private static let lite = [
    ("yolov6lite_s", YOLOv6Lite(width: 0.7)), ("yolov6lite_m", YOLOv6Lite(width: 1.1)),
    ("yolov6lite_l", YOLOv6Lite(width: 1.5)),
  ]

  private static let nano = YOLOv6Network(depth: 0.33, width: 0.25)
  private static let small = YOLOv6Network(depth: 0.33, width: 0.5)
  private static let medium = YOLOv6Network(
    depth: 0.6, width: 0.75, stage: .bottlenecks(share: 2.0 / 3), poolsBesides: false, predictsDistributions: true)
  private static let large = YOLOv6Network(
    depth: 1, width: 1, mode: .convolutionSiLU, stage: .bottlenecks(share: 0.5), poolsBesides: false,
    predictsDistributions: true)

  /// A network with a branch of anchors in its head that helps in training, the original's `fuse_ab`.
  /// - Returns: nil for a name that is none of three levels'.
  static func withAnchorBranch(_ name: String) -> Architecture? {
    guard let found = networks.first(where: { $0.name == name })?.network, !found.isLarge else { return nil }
    let network = with(found) { $0.hasAnchorBranch = true }
    return Architecture(name, classes: 80) { network.build($0, classes: $1) }
  }

  /// Of nothing but convolutions and ReLU, which quantise well.
  private static func base(depth: Double, width: Double, poolsBesides: Bool = false) -> YOLOv6Network {
    YOLOv6Network(
      depth: depth, width: width, mode: .convolutionReLU, stage: .bottlenecks(share: 0.5), poolsBesides: poolsBesides,
      predictsDistributions: true)
  }

  /// RepOptimizer's, on release 0.2's neck.
  private static func optimized(width: Double, _ mode: YOLOv6Mode) -> YOLOv6Network {
    YOLOv6Network(depth: 0.33, width: width, mode: mode, isFusing: false, poolsBesides: false)
  }

  private static func layered(depth: Double, width: Double) -> YOLOv6Network {
    YOLOv6Network(
      depth: depth, width: width, mode: .convolutionSiLU, stage: .layers(share: 0.5), poolsBesides: false,
      predictsDistributions: true, blocks: [1, 4, 8, 8, 4], neckBlocks: 8)
  }

  private static func with(_ network: YOLOv6Network, _ change: (inout YOLOv6Network) -> Void) -> YOLOv6Network {
    var network = network
    change(&network)
    return network
  }
}
