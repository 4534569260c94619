import ModelUtils
import OtherFramework
import Testing

typealias Network = ModelUtils.Module

@Suite struct NamesThatCollide {
  func operations(of network: Network) throws -> [ModelUtils.Operation] {
    let graph = try ModelUtils.Graph(network)
    return graph.nodes.map(\.operation)
  }

  @Test func qualified() throws {
    let net = try smallNet()
    #expect(try operations(of: net).count == 6)
    let layers: [ModelUtils.Layer] = net.children.values.map(\.layer)
    #expect(layers[2] == .activation(Activation(.relu)))
    let model = ModelUtils.Model.module(net)
    let identity: ModelUtils.Identity = net.identity
    #expect(model.module?.identity == identity)
    _ = (OtherFramework.Layer(), OtherFramework.Module())
  }
}
