import torch

from regulome.models.registry import create
from regulome.models.text_predictor import TextPredictor


def test_it_is_its_network_under_the_names_of_a_runs_weights():
    torch.manual_seed(0)
    network = create("char-lstm", hidden=8, embedding=4).eval()
    predictor = TextPredictor(network).eval()
    assert list(predictor.state_dict()) == [f"network.{name}" for name in network.state_dict()]
    codes = torch.randint(0, 4, (3, 20), dtype=torch.uint8)
    logits, state = predictor(codes)
    again, after = network(codes)
    assert torch.equal(logits, again)
    assert all(map(torch.equal, state, after))


def test_a_text_in_two_pieces_is_the_text():
    torch.manual_seed(0)
    predictor = TextPredictor(create("char-gru", hidden=8, embedding=4)).eval()
    codes = torch.randint(0, 4, (2, 30), dtype=torch.uint8)
    whole, end = predictor(codes)
    first, state = predictor(codes[:, :11])
    second, after = predictor(codes[:, 11:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(after, end)
    from_start, _ = predictor(codes, predictor.initial_state(2))
    torch.testing.assert_close(from_start, whole)
