import ModelCore
import ModelGraph

/// What is known of how the parts of a model run.
package struct KnownGraphs {
  /// The graph of the model, or those of the parts that are known; each begins with a scope of its own.
  package fileprivate(set) var graphs: [Graph] = []
  /// Why a module whose forward is known could not be followed.
  package fileprivate(set) var failures: [Identity: ModelError] = [:]
  /// Modules of classes whose forward is not known.
  package fileprivate(set) var unknown: Set<Identity> = []
}

extension Graph {
  /// What is known of how a module runs: its graph; for every part whose forward is not known (a single node there), the
  /// graphs of that part's children, each taken alone; and so of what is not called, such as auxiliary heads. No module is traced twice, and a hostile tree is
  /// left when it becomes too large.
  package static func known(in root: Module) -> KnownGraphs {
    var known = KnownGraphs()
    var traced: Set<Identity> = []
    var budget = 4 * nodeLimit
    var open: [(path: String, module: Module)] = [("", root)]
    while budget > 0, let (path, module) = open.popLast() {
      guard traced.insert(module.identity).inserted else { continue }
      var unknown = [(path: path, module: module)]
      let tracer = ForwardTracer(.inference)
      do {
        try tracer.trace(module, path: path)
        known.graphs.append(tracer.graph)
        unknown = tracer.unknown
        known.unknown.formUnion(unknown.map(\.module.identity))
        open += tracer.uncalled(in: module, path)
      } catch {
        if tracer.lacksShapes, module.identity == root.identity, let graph = ofPictures(module) {
          known.graphs.append(graph)
          unknown = []
        } else {
          known.failures[module.identity] = error as? ModelError
        }
        // Else it takes more than one tensor, or what an unknown class gives it does not fit: its parts may still be
        // known.
      }
      budget -= tracer.graph.nodes.count + 1
      for (path, module) in unknown.reversed() {
        traced.insert(module.identity)
        for (name, child) in module.children.reversed() {
          open.append((dotted(path, name), child))
        }
      }
    }
    return known
  }

  /// Sizes that models are made for.
  private static let pictureSizes = [640, 224, 256, 384, 448, 512, 1024]

  /// The graph of a model that depends on the size of its picture, where all sizes that it takes have the same batch
  /// norms behind the same layers.
  private static func ofPictures(_ root: Module) -> Graph? {
    var found: Graph?
    var pairs: Set<[Identity]> = []
    var count = 0
    for size in pictureSizes where count < 2 {
      let input = TensorType(.float32, [1, root.pictureChannels, size, size])
      guard let graph = try? Graph(root, inputs: [input]), (try? graph.types(of: [input])) != nil else { continue }
      let own = Set(
        graph.normalizedLayers().map { pair in
          [pair.layer, pair.batchNorm].compactMap { graph.ownModule(of: graph.nodes[$0]) }
        })
      guard count == 0 || own == pairs else { return nil }
      (found, pairs, count) = (found ?? graph, own, count + 1)
    }
    return found
  }
}

extension Module {
  /// The channels of the first convolution's input; 3 where the first parameter is no convolution's.
  fileprivate var pictureChannels: Int {
    firstParameter.flatMap { $0.tensor.shape.count == 4 ? $0.tensor.shape[1] : nil } ?? 3
  }
}
