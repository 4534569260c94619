import ModelArchitectures
import ModelCore
import ModelGraph

/// What "GFLOPs" means: the tools that print it do not agree.
public enum FlopsConvention: String, Sendable, Codable, CaseIterable {
  /// thop 0.1.1, which YOLOv5 prints: twice the operations of layers of exactly PyTorch's classes.
  case thop
  /// ultralytics-thop 2.2.3: subclasses and products called as functions count as well.
  case ultralytics
  /// YOLOv5's published tables: the fused model, twice the multiplications and the additions of biases.
  case readme
  /// torchvision's published tables: multiplications of convolutions and products, not doubled.
  case macs
}

/// The floating-point operations of one pass in evaluation mode, in units of 10^9, under each convention.
public struct GFlops: Sendable, Codable, Hashable {
  /// As thop 0.1.1 counts.
  public var thop = 0.0
  /// As ultralytics-thop 2.2.3 counts.
  public var ultralytics = 0.0
  /// As YOLOv5's published tables count.
  public var readme = 0.0
  /// As torchvision's published tables count.
  public var macs = 0.0
  /// thop's figure as YOLOv5 and Ultralytics measured it, at one stride, times the area; nil unless it was asked for.
  public var extrapolated: Double?

  /// Of multiplications, each with an addition, where every tool counts the same.
  package init(multiplications: Double) {
    (macs, thop, ultralytics, readme) = (
      multiplications / 1e9, multiplications * 2 / 1e9, multiplications * 2 / 1e9, multiplications * 2 / 1e9
    )
  }

  init(thop: Double, ultralytics: Double, readme: Double, macs: Double, extrapolated: Double? = nil) {
    (self.thop, self.ultralytics, self.readme, self.macs) = (thop, ultralytics, readme, macs)
    self.extrapolated = extrapolated
  }

  /// The figure of a convention.
  public subscript(convention: FlopsConvention) -> Double {
    switch convention {
    case .thop: thop
    case .ultralytics: ultralytics
    case .readme: readme
    case .macs: macs
    }
  }
}

/// The operations of a model at one size of input.
public struct FlopsReport: Sendable {
  /// The totals, in units of 10^9.
  public let gflops: GFlops
  /// The graph whose operations were counted, which holds for these inputs.
  public let graph: Graph
  /// For each of the graph's values its shape.
  public let shapes: [[Int]]
  /// For each node its multiplications in convolutions and products.
  public let macs: [Double]
}

extension Module {
  /// Counts the operations of one pass over inputs of the given shapes, such as [1, 3, 640, 640], at their true size.
  /// - Throws: `ModelError` for classes whose forward is not known, and for shapes that do not fit.
  public func flops(of inputShapes: [[Int]]) throws -> FlopsReport {
    var plain = self
    try plain.applyMasks()
    let graph = try Graph(plain, inputs: inputShapes.map { TensorType(.float32, $0) })
    let shapes = try graph.shapes(of: inputShapes)
    // What a fused model adds: the biases that are there, and those that take the place of a batch norm.
    let normalized = Set(graph.normalizedLayers(allowsOtherUses: true).map(\.layer))
    var totals = OperationCount()
    var macs: [Double] = []
    macs.reserveCapacity(graph.nodes.count)
    for (index, node) in graph.nodes.enumerated() {
      let isWhole = graph.ownModule(of: node) != nil && !node.operation.isBatchNorm
      let counts = OperationCount(
        node.operation, operands: node.operands.map { shapes[$0.index] }, output: shapes[node.results[0].index],
        addsBias: isWhole && (node.operands.count > 2 || normalized.contains(index)),
        isOfLayer: graph.scopes[node.scope].layer != nil)
      totals += counts
      macs.append(counts.macs)
    }
    for scope in graph.scopes {
      guard let layer = scope.layer, let output = scope.outputs.first else { continue }
      totals += OperationCount(
        layer, scope.className, inputs: scope.inputs.map { shapes[$0.index] }, output: shapes[output.index])
    }
    return FlopsReport(
      gflops: GFlops(
        thop: totals.thop * 2 / 1e9, ultralytics: totals.ultralytics * 2 / 1e9,
        readme: (totals.macs + totals.biases) * 2 / 1e9, macs: totals.macs / 1e9),
      graph: graph, shapes: shapes, macs: macs)
  }
}
